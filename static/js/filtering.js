/* A field that shows only those choices around it whose text holds what is typed. What is chosen stays in
   sight: it counts, whatever one looks for. */
import { isComposing, on } from "./page.js";

function filter(field) {
  const query = field.value.trim().toLocaleLowerCase();
  const frame = field.closest("[data-filtered]");
  let matches = 0;
  for (const choice of frame.querySelectorAll(".choice")) {
    const isMatch = choice.textContent.toLocaleLowerCase().includes(query);
    choice.hidden = !isMatch && !choice.querySelector("input").checked;
    matches += isMatch;
  }
  frame.querySelector("[data-filter-empty]").hidden = matches > 0;
}

on("input", "[data-filters]", (_event, field) => filter(field));

on("keydown", "[data-filters]", (event, field) => {
  if (isComposing(event)) return;
  if (event.key === "Enter") event.preventDefault(); // the form is sent by its button
  if (event.key === "Escape" && field.value) {
    event.preventDefault(); // the first one empties the field, the next one closes the dialog
    field.value = "";
    filter(field);
  }
});
