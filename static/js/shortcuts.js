/* Keys that work anywhere on a page: a new chat, and the list of all keys. `?` alone opens the list outside of
   fields, unless the person has switched that off: who speaks instead of typing may say it by chance. */
import { isApple, isComposing, on } from "./page.js";

const KEPT = "atrium:question-mark";
const dialog = document.getElementById("shortcuts");

function isTyping(element) {
  return element.isContentEditable || element.matches?.("textarea, select, input:not([type='checkbox'])");
}

function toggle() {
  if (dialog.open) dialog.close();
  else if (!document.querySelector("dialog[open]")) dialog.showModal();
}

if (dialog) {
  const choice = dialog.querySelector("[data-question-mark]");
  choice.checked = localStorage.getItem(KEPT) !== "off";
  on("change", "[data-question-mark]", () => localStorage.setItem(KEPT, choice.checked ? "on" : "off"));

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || isComposing(event) || event.altKey) return;
    const hasCommand = event.ctrlKey || event.metaKey;
    if (hasCommand && event.key === "/") toggle();
    else if (hasCommand && event.shiftKey && event.code === "KeyO") {
      if (!document.querySelector("dialog[open]")) window.location.assign(dialog.dataset.newChat);
    } else if (event.key === "?" && !hasCommand && choice.checked && !isTyping(event.target)) toggle();
    else return;
    event.preventDefault();
  });

  if (isApple) dialog.querySelectorAll("[data-command-key]").forEach((key) => (key.textContent = "⌘"));
}
