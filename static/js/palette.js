/* Ctrl/⌘ K. The field keeps the focus; the chosen option is named by aria-activedescendant. */
import { announce, isComposing, on, setActiveOption, words } from "./page.js";

const dialog = document.getElementById("palette");
const field = document.getElementById("palette-input");
const found = document.getElementById("palette-conversations");
const pages = [...document.querySelectorAll("#palette-pages a")];
let chosen = -1;

function options() {
  return [...dialog.querySelectorAll("#palette-options a")].filter((option) => !option.hidden);
}

function choose(index) {
  const all = options();
  chosen = all.length ? (index + all.length) % all.length : -1;
  all.forEach((option, position) => {
    option.id ||= `palette-option-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", String(position === chosen));
    option.tabIndex = -1;
  });
  setActiveOption(field, all[chosen]);
}

function showPages() {
  const query = field.value.trim().toLocaleLowerCase();
  for (const page of pages)
    page.hidden = Boolean(query) && !page.textContent.toLocaleLowerCase().includes(query);
}

function open() {
  if (dialog.open) return;
  field.value = "";
  showPages();
  dialog.showModal();
  field.focus();
  choose(0);
  window.htmx.trigger(field, "palette-opened");
}

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if (
      (event.ctrlKey || event.metaKey) &&
      !event.shiftKey &&
      !event.altKey &&
      event.key.toLowerCase() === "k"
    ) {
      event.preventDefault();
      dialog.open ? dialog.close() : open();
    }
  });

  on("click", "[data-opens-palette]", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });

  field.addEventListener("input", () => {
    showPages();
    choose(0);
  });

  field.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") options()[chosen]?.click();
    else if (event.key === "Escape")
      dialog.close(); // a search field would only empty itself
    else return;
    event.preventDefault();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== found) return;
    const count = found.childElementCount;
    document.getElementById("palette-conversations-heading").hidden = count === 0;
    const isEmpty = options().length === 0;
    dialog.querySelector("[data-palette-empty]").hidden = !isEmpty;
    choose(0);
    if (field.value)
      announce(
        isEmpty
          ? dialog.querySelector("[data-palette-empty]").textContent
          : words(options().length === 1 ? "oneResult" : "results", options().length),
      );
  });
}
