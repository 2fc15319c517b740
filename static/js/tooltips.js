/* Tooltips are shown by CSS. Here: Esc hides one, until pointer and focus have left its control. */
import { on } from "./page.js";

const FRAME = ".has-tooltip";

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const frame of document.querySelectorAll(`${FRAME}:is(:hover, :focus-within)`))
    frame.dataset.dismissed = "";
});

for (const type of ["mouseout", "focusout"]) {
  on(type, FRAME, (event, frame) => {
    if (!frame.contains(event.relatedTarget)) delete frame.dataset.dismissed;
  });
}
