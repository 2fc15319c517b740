/* Native dialogs. Buttons name them with command and commandfor; older browsers get that from here. */
import { menuRow, refreshList } from "./conversations.js";
import { forEach, on, words } from "./page.js";
import { showToast } from "./toasts.js";

if (!("commandForElement" in HTMLButtonElement.prototype)) {
  on("click", "button[commandfor]", (event, button) => {
    const dialog = document.getElementById(button.getAttribute("commandfor"));
    if (!(dialog instanceof HTMLDialogElement)) return;
    if (button.getAttribute("command") === "show-modal") {
      dialog.dispatchEvent(Object.assign(new Event("command"), { command: "show-modal", source: button }));
      dialog.showModal();
    } else {
      dialog.close();
    }
  });
}

on("click", "dialog", (event, dialog) => {
  if (event.target === dialog && dialog.matches(".dialog, .palette")) {
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (!inside && event.detail > 0) dialog.close();
  }
});

forEach("dialog[data-open-at-start]", (dialog) => dialog.showModal());

// The one dialog that asks before a conversation is deleted.
const dialog = document.getElementById("delete-dialog");
const form = dialog?.querySelector("[data-delete-form]");
let row = null;

dialog?.addEventListener("command", (event) => {
  const source = event.source;
  if (event.command !== "show-modal" || !source) return;
  row = source.matches("[data-delete-row]") ? menuRow() : null;
  form.action = row ? `${row.querySelector("a").pathname}delete/` : source.dataset.deleteUrl;
  dialog.querySelector("[data-delete-title]").textContent = row
    ? row.querySelector("a").textContent.trim()
    : source.dataset.title;
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [before, after] = [row?.previousElementSibling, row?.nextElementSibling];
  let isDeleted = false;
  form.addEventListener("htmx:afterRequest", ({ detail }) => (isDeleted = detail.successful), { once: true });
  // The promise says nothing of the status, and breaks when the network does; notices.js tells what went
  // wrong.
  await window.htmx
    .ajax("POST", form.action, { source: form, target: row ?? document.body, swap: row ? "delete" : "none" })
    .catch(() => {});
  dialog.close();
  if (isDeleted) {
    showToast(words("conversationDeleted"));
    // it was the last of its days
    if (before?.matches(".conversation-group") && !after?.matches(".conversation-row")) before.remove();
    const neighbour = [after, before].find((element) => element?.matches(".conversation-row"));
    (
      neighbour?.querySelector("a") ??
      document.getElementById("composer-text") ??
      document.getElementById("main")
    ).focus();
  }
  refreshList();
});
