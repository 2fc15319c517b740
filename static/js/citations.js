/* A source of an answer opens in the panel beside the page. Without scripts its link leads there by itself. */
import { openPanel } from "./panel.js";
import { on } from "./page.js";

on("click", "[data-opens-source]", async (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const place = document.getElementById("source-panel");
  if (!place) return;
  event.preventDefault();
  place.replaceChildren();
  openPanel(link);
  // notices.js tells what went wrong
  await window.htmx.ajax("GET", link.href, { target: place, swap: "innerHTML" }).catch(() => {});
});
