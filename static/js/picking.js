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
  subject.textContent = source?.dataset.title ?? "";
  subject.hidden = !source?.dataset.one;
  aim(source?.dataset.one ?? "delete:");
});
dialog?.addEventListener("close", () => aim(""));

on("click", "[data-delete-documents]", () => setTimeout(() => dialog.close()));
