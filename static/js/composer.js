/* Writing and sending: Enter sends and empties the field, Shift+Enter makes a line, input methods are left
   alone, drafts survive a reload. What could not be sent comes back, before what was written meanwhile. On a touch keyboard, which has no Shift+Enter, Enter makes a line; Ctrl or ⌘ + Enter sends
   everywhere. */
import { refreshList } from "./conversations.js";
import { dropDraft, keepDraft, readDraft } from "./drafts.js";
import { showChosen } from "./model-picker.js";
import { clearNotices } from "./notices.js";
import { announce, isComposing, on, words } from "./page.js";
import { followEnd } from "./scrolling.js";

const form = document.querySelector("[data-composer]");
const text = form?.elements.text;

export function findUnfinished() {
  return [...document.querySelectorAll(".message[data-events-url]")].at(-1);
}

/** Ask for the end. The stream brings it: what the row holds now is older than what is being read. */
function stop() {
  const message = findUnfinished();
  if (message)
    // notices.js tells
    window.htmx.ajax("POST", message.dataset.stopUrl, { source: message, swap: "none" }).catch(() => {});
}

/** Whether Escape has something else to close: toasts and the panel stay, wherever else one is. */
function isAnythingOpen() {
  const lists = CSS.supports("selector(select:open)") ? ", select:open" : "";
  const closing = ':popover-open:not([popover="hint"], [popover="manual"]), dialog[open]';
  return document.querySelector(`${closing}${lists}`);
}

/** Whoever pressed Stop stands on a button that is gone: on to the field, or to the answer where a field would
    bring up a keyboard. */
export function leaveStop(message) {
  if (text && window.matchMedia("(hover: hover)").matches) text.focus({ preventScroll: true });
  else message?.focus({ preventScroll: true });
}

function canSend() {
  return text.value.trim() && !findUnfinished() && !document.getElementById("composer-send").disabled;
}

const touch = window.matchMedia("(pointer: coarse)");

/** Whether a key that was pressed in a message's field sends it. */
export function isSending(event) {
  return (
    event.key === "Enter" &&
    (event.ctrlKey || event.metaKey || !(event.shiftKey || event.altKey || touch.matches))
  );
}

/** Give a field the height of its text, where CSS cannot. */
export function grow(field) {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

let sent = null; // what is under way: its text, where it was written, whether the server took it

/** What is written and what is under way, as it comes back if that fails. */
function unsent() {
  return [sent?.text, text.value].filter(Boolean).join("\n");
}

function keepUnsent() {
  return keepDraft(unsent());
}

function setText(value) {
  text.value = value;
  grow(text);
  keepUnsent();
}

/** Put back what could not be sent; the caret stays in what was written meanwhile. */
function putBack() {
  const fromEnd = text.value.length - text.selectionEnd;
  const whole = unsent();
  sent = null;
  setText(whole);
  text.setSelectionRange(whole.length - fromEnd, whole.length - fromEnd);
}

if (form) {
  const draft = readDraft();
  if (draft && !text.value) setText(draft);
  else grow(text);
  // A finger did not ask for a keyboard that hides half the page.
  if (window.matchMedia("(hover: hover)").matches) text.focus({ preventScroll: true });

  text.addEventListener("input", () => {
    grow(text);
    keepUnsent();
  });

  text.addEventListener("keydown", (event) => {
    if (isComposing(event)) return;
    if (isSending(event)) {
      event.preventDefault();
      if (canSend()) form.requestSubmit(form.querySelector("[data-send]"));
    }
  });

  // Wherever one is, unless something else is open that Escape closes.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || isComposing(event) || event.defaultPrevented || !findUnfinished()) return;
    if (event.target.closest?.("[data-edit-form]") || isAnythingOpen()) return;
    event.preventDefault();
    stop();
  });

  form.addEventListener(
    "submit",
    (event) => {
      if (canSend() && navigator.onLine) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );

  // A new conversation brings its header along; from then on messages go where that says.
  form.addEventListener("htmx:configRequest", (event) => {
    if (event.target === form) event.detail.path = document.getElementById("chat-header").dataset.messagesUrl;
  });

  form.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target !== form) return;
    clearNotices();
    form.classList.add("is-sending");
    sent = { text: text.value, place: keepUnsent(), isTaken: false };
    setText("");
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt === form)
      sent.isTaken = event.detail.xhr.status < 400 && event.detail.shouldSwap;
  });

  form.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== form) return;
    form.classList.remove("is-sending");
    if (!sent.isTaken) {
      putBack();
      return;
    }
    dropDraft(sent.place);
    sent = null;
    keepUnsent(); // a new conversation has a place of its own
    const header = document.getElementById("chat-header");
    form.action = header.dataset.messagesUrl;
    text.placeholder = header.dataset.placeholder;
    document.title = header.dataset.pageTitle;
    text.focus({ preventScroll: true });
    followEnd();
    refreshList();
  });

  on("click", "[data-stop]", stop);

  on("click", "[data-starter]", (event, link) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    setText(link.dataset.starter);
    text.focus();
  });

  const banner = form.querySelector("[data-offline]");
  const showLine = () => {
    if (banner.hidden === navigator.onLine) return;
    banner.hidden = navigator.onLine;
    announce(navigator.onLine ? words("online") : words("offline"));
  };
  window.addEventListener("online", showLine);
  window.addEventListener("offline", showLine);
  if (!navigator.onLine) showLine();
}

// What another model shall answer now, it shall answer from now on.
on("click", "[data-choose-model]", (event, button) => {
  const picker = document.getElementById("composer-model");
  if (picker) picker.value = button.value;
  showChosen();
});

// "Continue", "Answer again" and "Try again" replace the message their button stands in: the focus goes to
// the new one.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.requestConfig?.elt.matches("[data-focus-message]"))
    event.detail.elt.closest?.(".message")?.focus({ preventScroll: true });
});
