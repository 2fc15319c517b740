/* Details that are put together only when somebody asks: an answer's tokens and cost, the exact time behind
   "14:32", names of icon buttons. */
import { on } from "./page.js";

const language = document.documentElement.lang;
const numbers = new Intl.NumberFormat(language);
const timeZone = document.documentElement.dataset.timeZone || undefined;
/* As the server writes dates (config/formats). */
const moments = new Intl.DateTimeFormat(language, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZone,
});

on("click", ".figures-button", (event, button) => {
  const panel = document.getElementById("figures");
  const message = button.closest(".message");
  const show = (name, text) => {
    const place = panel.querySelector(`[data-figure="${name}"]`);
    place.parentElement.closest("dl > div").hidden = !text;
    place.textContent = text;
  };
  show("model", message.querySelector(".message-model").textContent);
  show("input", numbers.format(button.dataset.input));
  show("output", numbers.format(button.dataset.output));
  show("cost", button.dataset.cost);
  show("time", moments.format(new Date(message.querySelector("time").dateTime)));
  show("request", button.dataset.request);
  panel.querySelector('[data-figure="estimated"]').hidden = !("estimated" in button.dataset);
});

on("mouseover", "time[datetime]:not([title])", (event, time) => {
  const date = new Date(time.dateTime);
  if (!Number.isNaN(date.valueOf())) time.title = moments.format(date);
});

on(
  "mouseover",
  ".icon-button[aria-label]:not([title]), .conversation-link:not([title])",
  (event, element) => {
    element.title = element.getAttribute("aria-label") ?? element.textContent.trim();
  },
);
