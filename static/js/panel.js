/* The panel is a popover that stays beside the page. Here: Esc shuts it, and the focus goes back to what opened
   it. */
import { on } from "./page.js";

let opener = null;
on("click", '[popovertarget="panel"]:not([popovertargetaction="hide"])', (event, button) => (opener = button));

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
    opener?.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) panel.querySelector("button")?.focus();
    else opener?.focus();
  },
  true,
);
