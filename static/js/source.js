/* A source: the passage is scrolled to, and what draws PDFs is loaded where one is shown. */
import { forEachOnce } from "./page.js";

/** Of what stays above a PDF's page while all of it scrolls. */
const barHeight = (source) => source.querySelector(".pdf-bar")?.offsetHeight ?? 48;

forEachOnce("[data-source]", (source) => {
  const passage = source.querySelector("#passage");
  if (!passage) return;
  const box = source.closest(".sheet-body");
  if (box) box.scrollTop += passage.getBoundingClientRect().top - box.getBoundingClientRect().top - barHeight(source) - 32;
  else passage.scrollIntoView({ block: "center" });
});

forEachOnce("[data-pdf]", async (view) => {
  const { open } = await import(view.dataset.module);
  await open(view);
});
