/* A long question shows its beginning until somebody asks for the rest. */
import { on, words } from "./page.js";

on("click", "[data-unfold]", (event, button) => {
  const bubble = document.getElementById(button.getAttribute("aria-controls"));
  const isFolded = bubble.classList.toggle("is-folded");
  button.setAttribute("aria-expanded", String(!isFolded));
  button.textContent = words(isFolded ? "unfold" : "fold");
  if (isFolded) bubble.scrollIntoView({ block: "nearest" });
});
