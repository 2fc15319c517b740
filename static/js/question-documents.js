/* What a question is answered from: collections, chosen in a list that # in the message opens, and files that come
   along. The form holds both in fields of its own; here they are shown as chips above the message, and can be taken
   out there. */
import "./filtering.js";
import { showNotice } from "./notices.js";
import { announce, isComposing, on } from "./page.js";
import { bring, isComplete, large, letGo, takeOutLarge } from "./question-uploads.js";

const form = document.querySelector("[data-composer]");
const chooser = form?.querySelector("[data-collection-chooser]");
const text = form?.elements.text;
const search = document.getElementById("collection-search");
const chips = form?.querySelector("[data-chips]");
const files = form?.querySelector("[data-composer-files]");
let active = null; // the choice that Enter would take, while # is being written
let isTyped = false; // the list was opened by #

function boxes() {
  return [...chooser.querySelectorAll("input[type=checkbox]")];
}

function visibleBoxes() {
  return boxes().filter((box) => !box.closest(".choice").hidden);
}

// -- chips

function makeChip(template, name, remove) {
  const chip = form.querySelector(template).content.firstElementChild.cloneNode(true);
  chip.querySelector(".document-chip-name").textContent = name;
  const button = chip.querySelector(".document-chip-remove");
  button.setAttribute("aria-label", `${button.getAttribute("aria-label")}: ${name}`);
  button.addEventListener("click", () => {
    remove();
    show();
    text.focus();
  });
  return chip;
}

function takeOut(file) {
  setFiles([...files.files].filter((one) => one !== file));
}

function setFiles(list) {
  const all = new DataTransfer();
  list.forEach((file) => all.items.add(file));
  files.files = all.files;
}

function show() {
  const uses = new Map([...chips.querySelectorAll("[name=uses]")].map((field) => [field.file, field.value]));
  const ofCollections = boxes()
    .filter((box) => box.checked)
    .map((box) => makeChip("[data-chip-template]", box.dataset.name, () => (box.checked = false)));
  const ofFiles = [...files.files].map((file) => {
    const chip = makeChip("[data-file-template]", file.name, () => takeOut(file));
    const use = chip.querySelector("select");
    use.file = file;
    use.value = uses.get(file) ?? "search";
    return chip;
  });
  chips.replaceChildren(...ofCollections, ...ofFiles, ...large.map((entry) => entry.chip));
  chips.hidden = !chips.children.length;
}

// -- collections, by #

/** What is written behind a # at the caret; null where there is none. */
function wanted() {
  if (text.selectionStart !== text.selectionEnd) return null;
  return /(?:^|\s)#([^\s#]*)$/.exec(text.value.slice(0, text.selectionStart))?.[1] ?? null;
}

function activate(box) {
  active?.closest(".choice").classList.remove("is-active");
  active = box ?? null;
  const choice = active?.closest(".choice");
  choice?.classList.add("is-active");
  choice?.scrollIntoView({ block: "nearest" });
  if (active && isTyped) announce(active.dataset.name);
}

function filter(query) {
  search.value = query;
  search.dispatchEvent(new Event("input", { bubbles: true })); // filtering.js
  const shown = visibleBoxes();
  activate(shown.find((box) => !box.checked) ?? shown[0]); // Enter adds; what is chosen stays in sight
}

function follow() {
  const query = boxes().length ? wanted() : null;
  if (query === null) {
    if (isTyped) chooser.hidePopover();
    return;
  }
  if (!chooser.matches(":popover-open")) {
    isTyped = true;
    search.autofocus = false; // the message keeps the focus
    chooser.showPopover();
    search.autofocus = true;
  }
  filter(query);
}

function step(by) {
  const shown = visibleBoxes();
  if (shown.length) activate(shown[(shown.indexOf(active) + by + shown.length) % shown.length]);
}

function choose(box) {
  box.checked = !box.checked;
  const query = isTyped ? wanted() : null;
  if (query !== null) {
    const end = text.selectionStart;
    text.setRangeText("", end - query.length - 1, end, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  }
  if (chooser.matches(":popover-open")) chooser.hidePopover();
  show();
  announce(box.dataset.name);
}

if (chooser && chips && files) {
  text.addEventListener("input", follow);
  // before composer.js, whose Enter sends
  text.addEventListener(
    "keydown",
    (event) => {
      if (!isTyped || isComposing(event)) return;
      if (event.key === "ArrowDown") step(1);
      else if (event.key === "ArrowUp") step(-1);
      else if ((event.key === "Enter" || event.key === "Tab") && active) choose(active);
      else if (event.key === "Escape") chooser.hidePopover();
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  chooser.addEventListener("toggle", (event) => {
    if (event.newState === "open") {
      if (!isTyped) filter("");
      return;
    }
    const wasTyped = isTyped;
    isTyped = false;
    activate(null);
    if (wasTyped || chooser.contains(document.activeElement)) text.focus({ preventScroll: true });
  });
  chooser.addEventListener("change", show);
  on("click", "[data-starter]", (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // composer.js writes its text
    for (const box of boxes()) box.checked = box.value === link.dataset.collection;
    show();
  });
  on("click", "[data-without]", (event, button) => {
    const gone = button.dataset.without.split(" ");
    for (const box of boxes()) if (gone.includes(box.value)) box.checked = false;
    button.closest("[data-notice]").remove();
    show();
    text.focus();
  });
  chooser.addEventListener("mousedown", (event) => {
    if (isTyped) event.preventDefault(); // the message keeps the focus
  });
  chooser.addEventListener("click", (event) => {
    const choice = event.target.closest(".choice");
    if (!isTyped || !choice) return;
    event.preventDefault();
    choose(choice.querySelector("input"));
  });
  search?.addEventListener("input", () => activate(visibleBoxes()[0]));
  chooser.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    const shown = visibleBoxes();
    const at = shown.indexOf(document.activeElement);
    if (event.key === "ArrowDown") shown[Math.min(at + 1, shown.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (shown[at - 1] ?? search)?.focus();
    else if (event.key === "Enter" && (active || at >= 0)) choose(shown[at] ?? active);
    else return;
    event.preventDefault();
  });

  // -- files
  const addLarge = (file) => {
    const chip = makeChip("[data-file-template]", file.name, () =>
      takeOutLarge(large.find((entry) => entry.chip === chip)),
    );
    bring(file, chip, files, show);
  };
  const add = (list) => {
    const taken = [...files.files];
    const refused = [];
    const there = [...taken, ...large.map((entry) => entry.file)];
    const most = Number(files.dataset.most);
    let room = Number(files.dataset.mostBytes) - there.reduce((sum, file) => sum + file.size, 0);
    let count = there.length;
    for (const file of list) {
      const { dataset } = files;
      const why = file.size === 0 ? dataset.empty : file.size > room ? dataset.tooLarge : null;
      if (why) {
        refused.push(why.replace("{name}", file.name));
        continue;
      }
      count += 1;
      if (count > most) {
        refused.push(files.dataset.tooMany);
        break;
      }
      room -= file.size;
      if (file.size < Number(files.dataset.partsFrom)) taken.push(file);
      else addLarge(file);
    }
    if (refused.length) showNotice(refused.join(" "));
    setFiles(taken);
    show();
  };
  let before = [];
  files.addEventListener("click", () => (before = [...files.files])); // choosing again adds
  files.addEventListener("change", () => {
    const chosen = [...files.files];
    setFiles(before);
    before = [];
    add(chosen);
    text.focus({ preventScroll: true });
  });
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  for (const type of ["dragenter", "dragover"])
    on(type, ".chat", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      form.classList.add("is-over");
    });
  for (const type of ["dragleave", "drop"]) on(type, ".chat", () => form.classList.remove("is-over"));
  on("drop", ".chat", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    add([...event.dataTransfer.files]);
    text.focus({ preventScroll: true });
  });
  text.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    add(pasted);
  });
  form.addEventListener(
    "submit",
    (event) => {
      if (isComplete(files)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  // what was sent is part of its question now
  form.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== form || !event.detail.successful) return;
    setFiles([]);
    letGo();
    // a gone one that was taken out is no choice any more
    for (const box of boxes()) if (box.dataset.gone !== undefined && !box.checked) box.closest("li").remove();
    show();
  });

  // what was done before this came (later.js)
  const early = [...files.files];
  setFiles([]);
  add(early);
  if (chooser.matches(":popover-open")) filter("");
  else follow();
}
