/* What the first message does without comes when it is wanted: whoever presses a key or a button meets the same
   page, and what was typed or chosen before the module was there counts. */
import { forEach, isComposing, on } from "./page.js";

// -- the palette: its field takes what is typed at once
const palette = document.getElementById("palette");

async function openPalette() {
  if (palette.open) return;
  const field = document.getElementById("palette-input");
  field.value = "";
  palette.showModal();
  field.focus();
  let isEntered = false;
  const noteEnter = (event) => {
    if (event.key !== "Enter" || isComposing(event)) return;
    event.preventDefault();
    isEntered = true;
  };
  field.addEventListener("keydown", noteEnter);
  const { begin } = await import("./palette.js");
  field.removeEventListener("keydown", noteEnter);
  begin();
  if (isEntered) field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", cancelable: true }));
}

if (palette) {
  document.addEventListener("keydown", (event) => {
    const isPlain = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (!isPlain || isComposing(event) || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    palette.open ? palette.close() : openPalette();
  });

  on("click", "[data-opens-palette]", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openPalette();
  });
}

// -- sources of an answer open in the panel beside the page; without scripts their links lead there
on("click", "[data-opens-source]", async (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (!document.getElementById("source-panel")) return;
  event.preventDefault();
  const { openSource } = await import("./citations.js");
  openSource(link);
});

forEach("code.language-mermaid", () => import("./diagrams.js"));

if (document.getElementById("preparing")?.textContent.trim()) import("./preparing.js");

// -- collections and files of a question: from the first use of the message's form, which is before any #
const form = document.querySelector("[data-collection-chooser]")?.closest("form");
const uses = ["keydown", "input", "change", "pointerdown"];

function getDocuments() {
  for (const type of uses) form.removeEventListener(type, getDocuments, true);
  document.removeEventListener("dragenter", getDocuments);
  import("./question-documents.js");
}

if (form) {
  const files = form.querySelector("[data-composer-files]");
  for (const type of uses) form.addEventListener(type, getDocuments, true);
  document.addEventListener("dragenter", getDocuments);
  on("click", "[data-starter]", (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    for (const box of form.querySelectorAll("[data-collection-chooser] input[type=checkbox]"))
      box.checked = box.value === link.dataset.collection;
    getDocuments();
  });
  if (files?.files.length || form.querySelector("[data-collection-chooser] :checked")) getDocuments();
}
