/* A source of an answer opens in the panel beside the page. */
import { words } from "./page.js";
import { openPanel } from "./panel.js";
import "./source.js";

export async function openSource(link) {
  const place = document.getElementById("source-panel");
  place.replaceChildren();
  openPanel(link);
  // notices.js tells what went wrong; the panel is in front of that
  await window.htmx.ajax("GET", link.href, { target: place, swap: "innerHTML" }).catch(() => {});
  if (!place.children.length) place.textContent = words("noSource");
}
