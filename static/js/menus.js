/* Menus are native popovers. Here: a place beside their button where CSS cannot give one, arrow keys, and
   closing after a choice. */
import { on } from "./page.js";

const CSS_PLACES_THEM = CSS.supports("position-area", "block-end");
let opener = null; // several buttons may open the same menu
on("click", "button[popovertarget]", (event, button) => (opener = button));

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLElement) || !menu.matches(".menu[popover]")) return;
    document
      .querySelectorAll(`[popovertarget="${menu.id}"][aria-expanded]`)
      .forEach((button) => button.removeAttribute("aria-expanded"));
    if (event.newState !== "open" || opener?.getAttribute("popovertarget") !== menu.id) return;
    opener.setAttribute("aria-expanded", "true");
    if (!CSS_PLACES_THEM) place(menu, opener.getBoundingClientRect());
  },
  true,
);

function place(menu, anchor) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + height + 8 < window.innerHeight;
  menu.style.insetBlock = "auto";
  menu.style.left = `${Math.max(8, Math.min(anchor.left, window.innerWidth - width - 8))}px`;
  menu.style.top = `${below ? anchor.bottom + 4 : Math.max(8, anchor.top - height - 4)}px`;
}

function itemsOf(menu) {
  return [...(menu?.querySelectorAll("a, button, input") ?? [])].filter((item) => item.checkVisibility());
}

on("click", ".menu-item", (event, item) => item.closest("[popover]")?.hidePopover());

on("keydown", ".menu", (event, menu) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const items = itemsOf(menu);
  // a line of text has no use for these keys, every other field has
  if (!items.length || event.target.matches("input:not([type='text'])")) return;
  const step = event.key === "ArrowDown" ? 1 : -1;
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  event.preventDefault();
});

on("keydown", "button[popovertarget][aria-expanded='true']", (event, button) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  itemsOf(document.getElementById(button.getAttribute("popovertarget"))).at(0)?.focus();
  event.preventDefault();
});
