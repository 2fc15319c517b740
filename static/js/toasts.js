/* Toasts: what was done, said once in the corner. They go by themselves, but not while somebody is at them. */
import { announce, on } from "./page.js";

const SHOWN_MS = 7000;
const place = document.getElementById("toasts");
const template = document.getElementById("toast-template");

/** Show a text for a while, and say it to those who listen. */
export function showToast(text) {
  announce(text);
  if (!place || !template) return;
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("[data-toast-text]").textContent = text;
  place.append(toast);
  if (place.matches(":popover-open")) place.hidePopover(); // anew: above what was opened since
  place.showPopover();
  leaveLater(toast);
}

function leaveLater(toast) {
  setTimeout(() => (toast.matches(":hover, :focus-within") ? leaveLater(toast) : leave(toast)), SHOWN_MS);
}

function leave(toast) {
  toast.remove();
  if (place && !place.childElementCount && place.matches(":popover-open")) place.hidePopover();
}

on("click", "[data-toast-close]", (event, button) => {
  leave(button.closest("[data-toast]"));
  (document.getElementById("composer-text") ?? document.getElementById("main"))?.focus();
});
