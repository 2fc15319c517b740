/* Several tabs. What is written in one conversation reaches the others that show it: further turns are added
   where the tab shows the same branch, and an answer that is being written is followed there, too
   (answer-stream.js); where the conversation went on in another branch, that is offered. What is typed stays.

   Tabs of one browser tell each other; what another browser has written is asked for when one comes back to the
   tab, and when one begins to write in a page that has stood there. Whoever logs out in one tab leaves all of
   them. */
import { findUnfinished } from "./composer.js";
import { refreshList } from "./conversations.js";
import { dropDrafts } from "./drafts.js";
import { showNotice } from "./notices.js";
import { goToLogIn, on, words } from "./page.js";
import { markPast } from "./scrolling.js";

const PAUSE_MS = 1_000;
const STOOD_MS = 20_000; // without a look, however much is typed
const CHANGES = /\/(?:new|messages|edit|regenerate|continue|rename|delete)\/$/;
const TURNS = /\/(?:new|messages|edit|regenerate|continue)\/$/;
const channel = "BroadcastChannel" in window ? new BroadcastChannel("atrium-tabs") : null;
const thread = document.getElementById("thread");
let known = thread?.dataset.leaf ?? ""; // the message that was written last, as far as this tab knows
let lookedAt = 0;
let isLooking = false;
let isDue = false;

function shownLeaf() {
  return document.getElementById("composer-parent")?.value ?? "";
}

/** Whether this tab is about to say itself what the conversation goes on with. */
function isBusy() {
  return document.querySelector("#composer.is-sending, #composer.htmx-request, #thread .htmx-request") !== null;
}

/** Ask whether the conversation went on elsewhere. */
async function look() {
  if (!known || !navigator.onLine) return;
  if (isLooking || isBusy()) {
    isDue = true;
    return;
  }
  isLooking = true;
  isDue = false;
  lookedAt = Date.now();
  const [before, leaf] = [known, shownLeaf()];
  const asked = new URLSearchParams({ since: before, leaf });
  if (findUnfinished()) asked.set("follows", "1");
  try {
    const response = await fetch(`${window.location.pathname}?${asked}`, {
      headers: { "HX-Request": "true" },
    });
    if (response.status === 404) showNotice(words("gone"));
    if (response.status !== 200 || goToLogIn(response.url)) return;
    const html = await response.text();
    if (known === before && shownLeaf() === leaf && !isBusy()) take(html, response.headers);
  } catch {
    // Out of reach: whoever comes back to the tab asks again.
  } finally {
    isLooking = false;
    if (isDue && !isBusy()) look();
  }
}

function take(html, headers) {
  const target = document.querySelector(headers.get("HX-Retarget"));
  if (!target) return;
  known = headers.get("X-Leaf");
  window.htmx.swap(target, html, {
    swapStyle: headers.get("HX-Reswap"),
    swapDelay: 0,
    settleDelay: 0,
  });
  markPast();
}

if (thread) {
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  for (const type of ["focus", "pageshow"])
    window.addEventListener(type, () => {
      if (Date.now() - lookedAt > PAUSE_MS) look();
    });
  on("input", "#composer", () => {
    if (Date.now() - lookedAt > STOOD_MS) look();
  });
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { successful, pathInfo, requestConfig } = event.detail;
  const path = pathInfo?.requestPath ?? "";
  if (successful && requestConfig?.verb === "post" && CHANGES.test(path)) {
    if (TURNS.test(path)) known = shownLeaf();
    channel?.postMessage({ changed: window.location.pathname });
  }
  if (isDue) look();
});

on("submit", 'form[action*="logout"]', () => {
  dropDrafts();
  channel?.postMessage({ left: true });
});

channel?.addEventListener("message", ({ data }) => {
  if (data.left) {
    dropDrafts();
    // the log-out itself is on its way
    setTimeout(() => window.location.reload(), PAUSE_MS);
    return;
  }
  refreshList();
  if (data.changed === window.location.pathname) look();
});
