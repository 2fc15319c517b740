/* The list of conversations: which one is open, and renaming in place. Deleting is in dialogs.js. */
import { isComposing, on } from "./page.js";

export function openConversationId() {
  return document.getElementById("chat-header")?.dataset.conversationId ?? "";
}

// Somebody is at a row: its menu, its new title, its dialog. The list does not change under that.
const AT_A_ROW = "[data-rename-form], #conversation-menu:popover-open, #delete-dialog[open]";
const IN_THE_LIST = ".rail-scroll:is(:hover, :focus-within)";
let isListDue = false;

/** Ask the rail for its first page anew, at once or when nobody is at a row or reads further down: an order or
    a title has changed. */
export function refreshList() {
  const isFurtherDown = document.querySelector(IN_THE_LIST)?.scrollTop >= 40;
  isListDue = isFurtherDown || document.querySelector(AT_A_ROW) !== null;
  if (!isListDue) document.body.dispatchEvent(new CustomEvent("conversations-changed"));
}

function leaveRow() {
  if (isListDue) refreshList();
}
on("mouseout", ".rail-scroll", leaveRow);
on("focusout", ".rail-scroll", () => setTimeout(leaveRow));
document.addEventListener("toggle", (event) => event.target.id === "conversation-menu" && leaveRow(), true);
document.addEventListener("close", (event) => event.target.id === "delete-dialog" && leaveRow(), true);

function markOpen() {
  const id = openConversationId();
  for (const link of document.querySelectorAll("#conversation-list a[data-conversation]")) {
    if (id && link.closest("li").id === `conversation-${id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** The open one is in sight, without a page that moves. */
function showOpen() {
  document.querySelector("#conversation-list [aria-current='page']")?.scrollIntoView({ block: "nearest" });
}
showOpen();

// The list comes anew as a whole: who is in it by keyboard stays at the same row.
let focused = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.target?.matches?.(".conversation-list")) return;
  if (document.querySelector(AT_A_ROW)) {
    event.detail.shouldSwap = false; // it was asked for before
    isListDue = true;
    return;
  }
  if (event.detail.target.id !== "conversation-list") return;
  const row = document.activeElement?.closest("#conversation-list > li");
  focused = row && { id: row.id, control: document.activeElement.localName };
});

document.addEventListener("htmx:afterSettle", (event) => {
  const isWholeList = event.detail.target?.id === "conversation-list";
  if (focused && isWholeList) {
    document.getElementById(focused.id)?.querySelector(focused.control)?.focus({ preventScroll: true });
    focused = null;
  }
  if (event.detail.elt.closest?.("#conversation-list") || event.detail.elt.id === "chat-header") markOpen();
  if ((isWholeList && !document.querySelector(IN_THE_LIST)) || event.detail.elt.id === "chat-header") showOpen();
});
document.addEventListener("htmx:oobAfterSwap", markOpen);

/** Write a new title into the bar and the window. */
function showTitle(title) {
  const header = document.getElementById("chat-header");
  header.querySelector("h1").textContent = title;
  header.querySelector("[data-title]").dataset.title = title;
  header.dataset.pageTitle =
    title + header.dataset.pageTitle.slice(header.dataset.pageTitle.lastIndexOf(" · "));
  document.title = header.dataset.pageTitle;
}

let rowOfMenu = null;
on("click", "[popovertarget='conversation-menu']", (event, button) => (rowOfMenu = button.closest("li")));

/** The row whose menu was opened last. */
export function menuRow() {
  return rowOfMenu;
}

// One stop of the tab key a row: its button is an arrow away from its link, its menu the keys for that.
on("keydown", ".conversation-row a, .conversation-row button", (event, control) => {
  const row = control.closest("li");
  if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
    openMenu(row);
    isMenuKeyDown = true; // some systems open the browser's own menu only when the key comes up
  } else {
    const next = neighbour(row, control, event.key);
    if (!next) return;
    next.focus();
  }
  event.preventDefault();
});

let isMenuKeyDown = false;
document.addEventListener("contextmenu", (event) => isMenuKeyDown && event.preventDefault());
document.addEventListener("keyup", () => setTimeout(() => (isMenuKeyDown = false)));

function neighbour(row, control, key) {
  const wanted = { ArrowRight: "button", ArrowLeft: "a" }[key];
  if (wanted) return control.matches(wanted) ? null : row.querySelector(wanted);
  const isMenuOpen = control.getAttribute("aria-expanded") === "true";
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[key];
  if (!step || isMenuOpen) return null;
  let other = row[step];
  while (other && !other.matches(".conversation-row")) other = other[step];
  return other?.querySelector(control.localName);
}

function openMenu(row) {
  const button = row.querySelector("button");
  if (!document.querySelector("#conversation-menu:popover-open")) button.click();
  document.querySelector("#conversation-menu .menu-item").focus();
}

function closeForm(form) {
  const row = form.closest("li");
  // removing it takes the focus away while it still is connected: nothing is to be saved then
  form.dataset.sent = "";
  form.remove();
  row.querySelector("a").focus();
  leaveRow();
}

on("click", "[data-rename]", () => {
  const link = rowOfMenu.querySelector("a");
  rowOfMenu.append(document.getElementById("rename-template").content.cloneNode(true));
  const form = rowOfMenu.querySelector("form");
  form.action = `${link.pathname}rename/`;
  form.setAttribute("hx-post", form.action);
  form.elements.title.value = form.elements.title.defaultValue = link.textContent.trim();
  window.htmx.process(form);
  form.elements.title.focus();
  form.elements.title.select();
});

on("keydown", "[data-rename-form]", (event, form) => {
  if (event.key === "Escape") {
    event.stopPropagation();
    event.preventDefault();
    closeForm(form);
  } else if (event.key === "Enter" && isComposing(event)) {
    event.preventDefault(); // Enter chooses a word in an input method
  }
});

on("focusout", "[data-rename-form]", (event, form) => {
  // a swap takes the focus away, too
  if (!form.isConnected || "sent" in form.dataset || form.contains(event.relatedTarget)) return;
  const field = form.elements.title;
  if (field.value.trim() && field.value !== field.defaultValue) form.requestSubmit();
  else {
    form.remove();
    leaveRow();
  }
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt;
  if (!form.matches?.("[data-rename-form]")) return;
  if (form.elements.title.value === form.elements.title.defaultValue) {
    event.preventDefault();
    closeForm(form);
  } else {
    form.dataset.sent = "";
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  // event.detail.elt is another one where the swap took the form away
  const form = event.detail.requestConfig.elt;
  delete form.dataset?.sent;
  if (!event.detail.successful || !form.matches?.("[data-rename-form], [data-header-rename]")) return;
  const title = form.elements.title.value.trim();
  if (form.matches("[data-header-rename]")) {
    showTitle(title);
    document.getElementById("chat-menu")?.hidePopover();
    refreshList();
    return;
  }
  const id = form.closest("li")?.id ?? event.detail.target?.id ?? "";
  if (id === `conversation-${openConversationId()}`) showTitle(title);
  markOpen();
  document.getElementById(id)?.querySelector("a")?.focus();
  leaveRow();
});
