/* What several modules need: texts from the page, icons, the live region, keys, and "now and for all that
   comes". */

const dataset = document.getElementById("words")?.dataset ?? {};

/** A text of the page by its name in _words.html; `{n}` is replaced by `n`. */
export function words(name, n = "") {
  return (dataset[name] ?? "").replace("{n}", n);
}

/** An icon of the sprite. requirements/web/vendor.py finds the names that are used: icon("copy"). */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Tell those who listen instead of look. The same text twice is said twice. */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 60);
}

/** Run `setUp` for each element that matches, in the page and in every fragment that htmx brings. */
export function forEach(selector, setUp) {
  const within = (root) => {
    if (root.matches?.(selector)) setUp(root);
    root.querySelectorAll?.(selector).forEach(setUp);
  };
  within(document);
  document.addEventListener("htmx:load", (event) => within(event.detail.elt));
}

/** The same, once for each element: the page itself comes by both ways. */
export function forEachOnce(selector, setUp) {
  const known = new WeakSet();
  forEach(selector, (element) => {
    if (known.has(element)) return;
    known.add(element);
    setUp(element);
  });
}

/** Delegated listener: `handle(event, element)` for the closest element that matches. */
export function on(type, selector, handle) {
  document.addEventListener(type, (event) => {
    const element = event.target instanceof Element && event.target.closest(selector);
    if (element) handle(event, element);
  });
}

export const isApple = /Mac|iPhone|iPad/.test(navigator.platform); // its keyboards say ⌘

/** Whether a key belongs to an input method that makes a word; Safari says so of the last one only by 229. */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Of a combobox, whose field keeps the focus: the option that Enter would choose, if any. */
export function setActiveOption(field, option) {
  if (!option) {
    field.removeAttribute("aria-activedescendant");
    return;
  }
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

/**
 * Whether a request ended at the log-in page, since the session is over; then the page goes there, too, and
 * afterwards comes back.
 */
export function goToLogIn(address) {
  const { loginUrl } = document.body.dataset;
  if (new URL(address, window.location.href).pathname !== loginUrl) return false;
  window.location.assign(`${loginUrl}?next=${encodeURIComponent(window.location.pathname)}`);
  return true;
}
