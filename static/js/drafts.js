/* Drafts stay in the tab in which they are written: they survive a reload, and end with the tab, with logging out
   in any tab, and where somebody else logs in. A page's data-drafts says whose they are (foundation/drafts.py);
   pages without it, such as the one for logging in, leave them alone. */

const OWNER = "drafts-of";
export const PREFIX = "draft:"; // of all that ends with them
const owner = document.documentElement.dataset.drafts;

function placeOf() {
  return PREFIX + window.location.pathname;
}

export function readDraft() {
  return sessionStorage.getItem(placeOf());
}

/** Keep a text at this page's place; an empty one is none. Returns the place. */
export function keepDraft(text) {
  const place = placeOf();
  if (text) sessionStorage.setItem(place, text);
  else sessionStorage.removeItem(place);
  return place;
}

export function dropDraft(place) {
  sessionStorage.removeItem(place);
}

export function dropDrafts() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

if (owner && sessionStorage.getItem(OWNER) !== owner) {
  dropDrafts();
  sessionStorage.setItem(OWNER, owner);
}
