/* What is wider than its answer scrolls sideways: then a keyboard can reach it, too. */
import { forEach } from "./page.js";

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});

forEach(".message-answer:not([data-events-url]) .prose :is(table, math[display=block])", (part) =>
  sizes.observe(part),
);
