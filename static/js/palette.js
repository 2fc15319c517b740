/* Ctrl/⌘ K. The field keeps the focus; the chosen option is named by aria-activedescendant. */
import { announce, isComposing, on, setActiveOption, words } from "./page.js";

const dialog = document.getElementById("palette");
const field = document.getElementById("palette-input");
const found = ["conversations", "models"].map((name) => document.getElementById(`palette-${name}`));
const standing = [...document.querySelectorAll("#palette-pages a, #palette-actions button")];
let chosen = -1;
let chosenOption = null; // of two answers of the server, the second must not move the choice

function options() {
  return [...dialog.querySelectorAll("#palette-options :is(a, button)")].filter((option) => !option.hidden);
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
  chosenOption = all[chosen];
  setActiveOption(field, chosenOption);
}

/** Pages and actions whose names hold all words of the query. */
function showStanding() {
  const wanted = field.value.toLocaleLowerCase().split(/\s+/);
  for (const option of standing) {
    const name = option.textContent.toLocaleLowerCase();
    option.hidden = !wanted.every((word) => name.includes(word));
  }
  showHeading("actions");
}

function showHeading(name) {
  const group = document.getElementById(`palette-${name}`);
  const isEmpty = ![...group.children].some((option) => !option.hidden);
  document.getElementById(`palette-${name}-heading`).hidden = isEmpty;
}

/** Show the choices; the dialog is open, its field has the focus (later.js). */
export function begin() {
  showStanding();
  choose(0);
  window.htmx.trigger(field, "palette-opened");
}

if (dialog) {
  on("click", "#palette-actions button", () => dialog.close());

  field.addEventListener("input", () => {
    showStanding();
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
    if (!found.includes(event.detail.target)) return;
    showHeading("conversations");
    showHeading("models");
    const isEmpty = options().length === 0;
    dialog.querySelector("[data-palette-empty]").hidden = !isEmpty;
    choose(Math.max(0, options().indexOf(chosenOption)));
    if (field.value)
      announce(
        isEmpty
          ? dialog.querySelector("[data-palette-empty]").textContent
          : words(options().length === 1 ? "oneResult" : "results", options().length),
      );
  });
}
