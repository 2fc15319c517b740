/* The panel is a popover that stays beside the page. Here: Esc shuts it, and the focus goes back to what opened
   it. */
import { on } from "./page.js";

let opener = null;
on("click", '[popovertarget="panel"]:not([popovertargetaction="hide"])', (event, button) => (opener = button));

/** Open the panel from a link or another element, to which the focus goes back. */
export function openPanel(from) {
  opener = from;
  const panel = document.querySelector("[data-panel]");
  if (panel?.matches(":popover-open")) panel.querySelector("button")?.focus();
  else panel?.showPopover();
}

on("keydown", "[data-panel]", (event, panel) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  panel.hidePopover();
});

document.addEventListener(
  "toggle",
  (event) => {
    const panel = event.target;
    if (!(panel instanceof HTMLElement) || !panel.matches("[data-panel]")) return;
    const isOpen = event.newState === "open";
    if (opener?.matches("button")) opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) panel.querySelector("button")?.focus();
    else opener?.focus();
  },
  true,
);
