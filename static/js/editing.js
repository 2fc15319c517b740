/* Editing a question: its bubble gives way to a field, in which keys do what they do in the composer; Escape leaves
   all as it was. ArrowUp in the empty composer begins it for the last one. What the server refuses stays in the
   field, which takes nothing while it is sent, since the swap would lose it; else the new question takes the place
   of the old one, which stays beside it (branches.js). */
import { findUnfinished, grow, isSending } from "./composer.js";
import { refreshList } from "./conversations.js";
import { clearNotices } from "./notices.js";
import { isComposing, on } from "./page.js";
import { followEnd } from "./scrolling.js";

const composer = document.getElementById("composer-text");
let opener = null; // gets the focus back

function open(button, from) {
  document.querySelector("[data-edit-form]")?.remove(); // of another question
  const message = button.closest(".message");
  message.append(document.getElementById("edit-template").content.cloneNode(true));
  const form = message.querySelector("[data-edit-form]");
  form.action = button.dataset.edit;
  form.setAttribute("hx-post", form.action);
  window.htmx.process(form);
  const { text } = form.elements;
  text.value = message.querySelector(".bubble").textContent;
  grow(text);
  opener = from;
  text.focus({ preventScroll: true });
  text.setSelectionRange(text.value.length, text.value.length);
  form.scrollIntoView({ block: "nearest" });
}

function close(form) {
  clearNotices();
  form.remove();
  (opener?.isConnected ? opener : composer).focus({ preventScroll: true });
}

on("click", "[data-edit]", (event, button) => open(button, button));
on("click", "[data-edit-cancel]", (event, button) => close(button.form));
on("input", "[data-edit-form]", (event, form) => grow(form.elements.text));

on("keydown", "[data-edit-form]", (event, form) => {
  if (isComposing(event)) return;
  if (event.key === "Escape") {
    event.preventDefault();
    close(form);
  } else if (event.target === form.elements.text && isSending(event)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

composer?.addEventListener("keydown", (event) => {
  const isPlain = !(isComposing(event) || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey);
  const button = [...document.querySelectorAll("[data-edit]")].at(-1);
  if (event.key !== "ArrowUp" || !isPlain || composer.value || !button || findUnfinished()) return;
  if (composer.form.matches(".is-sending")) return; // another question is about to be the last
  event.preventDefault();
  open(button, composer);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches?.("[data-edit-form]")) return;
  clearNotices();
  elt.elements.text.readOnly = true;
});

document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.requestConfig.elt; // the swap took it away
  if (!form.matches?.("[data-edit-form]")) return;
  form.elements.text.readOnly = false;
  if (!event.detail.successful) return;
  // As after sending; but a finger did not ask for a keyboard over the answer.
  if (window.matchMedia("(hover: hover)").matches) composer.focus({ preventScroll: true });
  else [...document.querySelectorAll(".message-answer")].at(-1)?.focus({ preventScroll: true });
  followEnd();
  refreshList();
});
