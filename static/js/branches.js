/* Branches of a conversation: what a question asked anew, a further answer or the arrows bring takes the place of a
   message and of all that follows it. With the arrows what is being read stays in its place, the focus stays on
   them, and the keys ← and → do the same. Without scripts they are links. */
import { announce, on } from "./page.js";
import { markPast, stay } from "./scrolling.js";

const thread = document.getElementById("thread");
let before = null; // the message above the place where the branches part
let top = 0;

/** What asked for a swap, if it is one of ours. */
function askedBy(event) {
  const element = event.detail.requestConfig?.elt;
  return element?.matches?.("[data-branches]") ? element : null;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { shouldSwap, target, xhr } = event.detail;
  if (!askedBy(event) || !shouldSwap || xhr.status >= 400) return;
  before = target.previousElementSibling;
  top = target.getBoundingClientRect().top;
  while (target.nextElementSibling) target.nextElementSibling.remove();
  if (askedBy(event).dataset.sibling) stay();
});

document.addEventListener("htmx:afterSettle", (event) => {
  const link = askedBy(event);
  if (!link) return;
  markPast();
  const { sibling } = link.dataset;
  const message = before ? before.nextElementSibling : thread.querySelector(".message");
  if (!sibling || event.detail.elt !== message) return;
  window.scrollBy({ top: message.getBoundingClientRect().top - top, behavior: "instant" });
  const arrow =
    message.querySelector(`[data-sibling="${sibling}"]`) ?? message.querySelector("[data-sibling]");
  arrow?.focus({ preventScroll: true });
  announce(message.querySelector(".siblings-place").textContent.trim());
});

on("keydown", "[data-siblings]", (event, siblings) => {
  const sibling = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (!sibling || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  event.preventDefault();
  siblings.querySelector(`[data-sibling="${sibling}"]`)?.click();
});
