/* Choosing documents of the list: how many are chosen, all of a page at once, and the dialog that asks before
   some are deleted. After each action what was done is said, and the focus stays in the list. */
import { forEachOnce, on } from "./page.js";
import { showToast } from "./toasts.js";

const boxesOf = (form) => [...form.querySelectorAll("input[name=documents]")];

function tell(form) {
  const boxes = boxesOf(form);
  const count = boxes.filter((box) => box.checked).length;
  const bar = form.querySelector("[data-picked]");
  if (!bar) return;
  const text = bar.querySelector("[data-picked-count]");
  bar.hidden = count === 0;
  text.textContent = count === 1 ? text.dataset.one : text.dataset.many.replace("{n}", count);
  const all = form.querySelector("[data-pick-all]");
  all.checked = count > 0 && count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
}

forEachOnce("[data-picking]", (form) => {
  tell(form);
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]"))
      for (const box of boxesOf(form)) box.checked = event.target.checked;
    tell(form);
  });
});

// -- what was done
forEachOnce("[data-said]", (text) => {
  showToast(text.textContent);
  const place = text.closest("[tabindex='-1']");
  // the list was exchanged: what had the focus is gone
  setTimeout(() => {
    if (document.activeElement === document.body || !document.activeElement) place?.focus();
  });
});

// -- the dialog: htmx does not see which button of it was pressed, so a field of the list's form says it
const dialog = document.getElementById("delete-documents");

function aim(verb) {
  const field = document.querySelector("[data-picking] [data-verb]");
  if (field) field.value = verb;
}

dialog?.addEventListener("command", ({ command, source }) => {
  if (command !== "show-modal") return;
  const subject = dialog.querySelector("[data-subject]");
  const picked = boxesOf(document.getElementById("documents-form")).filter((box) => box.checked);
  const buttons = [...document.querySelectorAll("[data-one][data-title]")];
  const wanted = source?.dataset.one
    ? [source]
    : buttons.filter((button) => picked.some((box) => button.dataset.one === `delete:${box.value}`));
  subject.textContent = wanted.length === 1 ? wanted[0].dataset.title : "";
  subject.hidden = wanted.length !== 1;
  for (const text of dialog.querySelectorAll("[data-counted]")) count(text, wanted.length);
  const questions = dialog.querySelector("[data-questions]");
  const going = wanted.reduce((sum, one) => sum + Number(one.dataset.questions), 0);
  questions.hidden = going === 0;
  count(questions, going);
  aim(source?.dataset.one ?? "delete:");
});

function count(text, number) {
  const { one, many } = text.dataset;
  text.textContent = number === 1 ? one : many.replace("{n}", number);
}
dialog?.addEventListener("close", () => aim(""));

on("click", "[data-delete-documents]", () => setTimeout(() => dialog.close()));
