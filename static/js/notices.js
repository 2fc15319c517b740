/* Notices at the head of the page or above the composer, and what happens when a request of htmx fails. */
import { goToLogIn, on, words } from "./page.js";

on("click", "[data-dismiss]", (event, button) => {
  const notice = button.closest("[data-notice]");
  const next = notice.nextElementSibling?.querySelector("[data-dismiss]");
  notice.remove();
  (next ?? document.getElementById("composer-text") ?? document.getElementById("main"))?.focus();
});

/** Show what went wrong, once. */
export function showNotice(text, requestId = "") {
  const place = document.getElementById("notices");
  const template = document.getElementById("notice-template");
  if (!place || !template || !text) return;
  const notice = template.content.cloneNode(true);
  notice.querySelector("[data-notice-text]").textContent = text;
  const line = notice.querySelector("[data-notice-request]");
  if (requestId) {
    line.hidden = false;
    line.textContent = `${words("requestId")} ${requestId}`;
  }
  place.replaceChildren(notice);
}

export function clearNotices() {
  document.getElementById("notices")?.replaceChildren();
}

function explain(status) {
  if (status === 404 || status === 410) return words("gone");
  if (status === 403) return words("forbidden");
  if (status === 429) return words("tooMany");
  return words("serverError");
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = event;
  const { xhr } = detail;
  const html = xhr.responseText.trimStart().slice(0, 200).toLowerCase();
  if (html.startsWith("<!doctype") || html.startsWith("<html")) {
    // A whole page is never a fragment: the session has ended, or an error page came.
    detail.shouldSwap = false;
    if (!goToLogIn(xhr.responseURL))
      showNotice(explain(xhr.status), xhr.getResponseHeader("X-Request-ID") ?? "");
  } else if (xhr.status >= 400 && xhr.responseText.includes("data-explains")) {
    detail.shouldSwap = true; // it says in its own place what happened
  } else if (xhr.status >= 400) {
    const place = document.getElementById("notices");
    if (place && xhr.responseText.includes("data-notice")) {
      place.replaceChildren();
      detail.shouldSwap = true;
      detail.target = place;
      detail.swapOverride = "innerHTML";
    } else {
      showNotice(explain(xhr.status), xhr.getResponseHeader("X-Request-ID") ?? "");
    }
  }
});

for (const type of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(type, () => showNotice(navigator.onLine ? words("noReply") : words("offline")));
}
