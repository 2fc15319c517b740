/* The rail: collapsed or not (kept in a cookie, so that the server draws it right at once), and the sheet on
   small screens. */
import { isApple, on } from "./page.js";

const YEAR_S = 365 * 24 * 3600;

on("click", "[data-rail-toggle]", () => {
  const shell = document.querySelector(".shell");
  const state = shell.dataset.rail === "collapsed" ? "open" : "collapsed";
  shell.dataset.rail = state;
  const secure = window.location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `atrium_rail=${state}; Path=/; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
});

// As a sheet it takes the focus, what lies behind cannot be reached meanwhile, and the focus goes back.
document.addEventListener(
  "toggle",
  (event) => {
    if (!(event.target instanceof HTMLElement) || event.target.id !== "rail") return;
    const isOpen = event.newState === "open";
    for (const behind of document.querySelectorAll(".skip-link, .shell > :not(#rail)")) behind.inert = isOpen;
    if (isOpen) document.querySelector(".rail-close").focus();
    else if (isLost(document.activeElement)) document.querySelector(".opens-rail").focus();
  },
  true,
);

/** Whether the focus is nowhere, or still on what has just been hidden. */
function isLost(element) {
  return element === document.body || element.closest("#rail") !== null;
}

window.matchMedia("(min-width: 50rem)").addEventListener("change", () => {
  const rail = document.getElementById("rail");
  if (rail?.matches(":popover-open")) rail.hidePopover();
});

if (isApple) document.querySelectorAll("[data-shortcut]").forEach((key) => (key.textContent = "⌘ K"));
