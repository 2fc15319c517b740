/* The conversation follows its end while the reader is there, and stays where it is when they are not. */
import { on } from "./page.js";

const page = document.documentElement;
const thread = document.getElementById("thread");
const jump = document.querySelector("[data-jump]");
const NEAR_PX = 72;
let isFollowing = true;

let lastY = window.scrollY;

function distanceToEnd() {
  return page.scrollHeight - window.scrollY - window.innerHeight;
}

/** What was said before the last turn: message.css shows it at rest. */
export function markPast() {
  for (const message of [...thread.querySelectorAll(".message")].slice(-2)) message.classList.remove("is-past");
  for (const message of [...thread.querySelectorAll(".message:not(.is-past)")].slice(0, -2))
    message.classList.add("is-past");
}

/** What comes is read from where it begins. */
export function stay() {
  isFollowing = false;
}

/** Go to the end and stay there. */
export function followEnd({ smooth = false } = {}) {
  isFollowing = true;
  window.scrollTo({ top: page.scrollHeight, behavior: smooth ? "smooth" : "instant" });
}

if (thread) {
  history.scrollRestoration = "manual";
  // an address may name the message that is wanted: a link to another branch does
  const wanted = /^#message-[0-9a-f-]+$/.test(window.location.hash) && document.querySelector(window.location.hash);
  if (wanted) {
    stay();
    wanted.scrollIntoView({ block: "start" });
  } else if (thread.querySelector(".message")) followEnd();

  window.addEventListener(
    "scroll",
    () => {
      // The slightest move upwards lets go at once; coming near the end takes hold again.
      if (window.scrollY < lastY && distanceToEnd() > 2) isFollowing = false;
      else if (distanceToEnd() <= NEAR_PX) isFollowing = true;
      lastY = window.scrollY;
      jump.hidden = distanceToEnd() <= NEAR_PX;
    },
    { passive: true },
  );

  const sizes = new ResizeObserver(() => {
    if (isFollowing && thread.querySelector(".message")) followEnd();
    else jump.hidden = distanceToEnd() <= NEAR_PX;
  });
  sizes.observe(thread);
  sizes.observe(document.querySelector(".dock"));

  on("click", "[data-jump]", () => {
    followEnd({ smooth: !window.matchMedia("(prefers-reduced-motion: reduce)").matches });
    document.getElementById("composer-text")?.focus({ preventScroll: true });
  });

  // Earlier messages come in above: what is being read stays in its place.
  let belowView = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    belowView = event.detail.target?.matches?.("[data-earlier]") ? page.scrollHeight - window.scrollY : null;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === thread) markPast();
    if (belowView === null) return;
    window.scrollTo({ top: page.scrollHeight - belowView, behavior: "instant" });
    belowView = null;
  });
}
