/* Choosing a model: a combobox over the list that the form sends. That list keeps the value, so whatever changes
   it (another project, a model that has been made ready) is what is seen here.

   Another project brings another list from the server, with the choice as it was when that was asked for. Who
   chooses meanwhile is asked for again, so that the server has the last word on what is allowed there. */
import { announce, forEach, isComposing, on, setActiveOption, words } from "./page.js";

const button = document.getElementById("model-button");
const chooser = document.getElementById("model-chooser");
const field = document.getElementById("model-search");
const list = document.getElementById("model-options");
const project = document.getElementById("composer-project");
let active = null;
let asking = null; // the request for another project's list

function picker() {
  return document.getElementById("composer-model");
}

function labelOf(option) {
  return (option.querySelector(".model-label") ?? option).textContent.trim();
}

/** Say on the button which model is chosen. */
export function showChosen() {
  const [option] = picker()?.selectedOptions ?? [];
  if (button && option) button.querySelector("[data-model-chosen]").textContent = labelOf(option);
}

function makeRow(option, number) {
  const row = document.createElement("div");
  row.id = `model-option-${number}`;
  row.className = "model-option";
  row.dataset.value = option.value;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(option.selected));
  if (option.disabled) row.setAttribute("aria-disabled", "true");
  row.append(...[...option.childNodes].map((node) => node.cloneNode(true)));
  row.dataset.said = `${row.textContent} ${option.value}`.toLocaleLowerCase(); // details may name other models
  if (option.dataset.details) {
    const details = Object.assign(document.createElement("span"), { className: "model-details" });
    details.textContent = option.dataset.details;
    row.append(" ", details);
  }
  return row;
}

function visibleRows() {
  return [...list.children].filter((row) => !row.hidden);
}

function activate(row) {
  active?.classList.remove("is-active");
  active = row ?? null;
  active?.classList.add("is-active");
  setActiveOption(field, active);
}

function step(by) {
  const rows = visibleRows();
  if (rows.length) activate(rows[(rows.indexOf(active) + by + rows.length) % rows.length]);
}

function filter() {
  const wanted = field.value.trim().toLocaleLowerCase().split(/\s+/);
  for (const row of list.children) {
    row.hidden = !wanted.every((word) => row.dataset.said.includes(word));
  }
  const rows = visibleRows();
  chooser.querySelector("[data-model-none]").hidden = rows.length > 0;
  activate(rows.find((row) => row.ariaDisabled !== "true") ?? rows[0]);
  announce(words(rows.length === 1 ? "oneResult" : "results", rows.length));
}

function fill() {
  list.replaceChildren(...[...picker().options].filter((option) => option.value).map(makeRow));
  chooser.querySelector("[data-model-none]").hidden = true;
  activate(list.querySelector('[aria-selected="true"]') ?? list.firstElementChild);
}

function choose(row) {
  if (!row || row.ariaDisabled === "true") return;
  chooser.hidePopover();
  picker().value = row.dataset.value;
  for (const type of ["input", "change"]) picker().dispatchEvent(new Event(type, { bubbles: true }));
}

if (button) {
  forEach("#composer-model", (select) => {
    select.tabIndex = -1;
    select.setAttribute("aria-hidden", "true");
    showChosen();
    if (!chooser.matches(":popover-open")) return;
    fill();
    if (field.value) filter();
  });
  on("change", "#composer-model", () => {
    showChosen();
    if (asking) window.htmx.trigger(project, "change");
  });
  project?.addEventListener("htmx:beforeSend", (event) => (asking = event.detail.xhr));
  project?.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr === asking) asking = null;
  });

  // before it opens: its field has the focus at once (autofocus), and who types quickly does not wait
  chooser.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    field.value = "";
    fill();
  });
  chooser.addEventListener("toggle", () => active?.scrollIntoView({ block: "nearest" }));
  chooser.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !chooser.contains(event.relatedTarget)) chooser.hidePopover();
  });
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    button.click();
  });

  field.addEventListener("input", filter);
  field.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    if (event.key === "ArrowDown") step(1);
    else if (event.key === "ArrowUp") step(-1);
    else if (event.key === "Enter") choose(active);
    else return;
    event.preventDefault();
  });
  on("mousedown", ".model-option", (event) => event.preventDefault()); // the field keeps the focus
  on("click", ".model-option", (event, row) => choose(row));
}
