/* Mermaid's diagrams in finished answers. Each is drawn in a frame that runs scripts but has neither our origin
   nor a network (its policy is the server's), when it comes near the view. Its text stays in the page as code,
   one button away, and is what is seen where drawing fails or takes too long. */
import { frameCode } from "./copy.js";
import { forEach, on, words } from "./page.js";

const MAX_CHARACTERS = 20_000;
const MAX_HEIGHT_PX = 640;
const MAX_DIAGRAMS = 30; // on one page
const PATIENCE_MS = 15_000;
const address = document.getElementById("thread")?.dataset.diagramUrl;
const drawings = new Map(); // frame → {block, source, timer}
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const paper = window.matchMedia("print");

function theme() {
  const { theme: chosen } = document.documentElement.dataset;
  return chosen === "dark" || (chosen !== "light" && dark.matches) ? "dark" : "light";
}

function begin(block) {
  const source = block.querySelector("code").textContent;
  for (const [frame, { timer }] of drawings) {
    if (frame.isConnected) continue;
    clearTimeout(timer);
    drawings.delete(frame);
  }
  if (source.length > MAX_CHARACTERS || drawings.size >= MAX_DIAGRAMS) return;
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.className = "diagram";
  frame.title = words("diagram");
  frame.src = address;
  const timer = setTimeout(() => giveUp(frame), PATIENCE_MS);
  drawings.set(frame, { block, source, timer });
  block.append(frame);
}

function send(frame) {
  frame.dataset.theme = theme(); // for paper: print.css
  frame.contentWindow.postMessage({ source: drawings.get(frame).source, theme: frame.dataset.theme }, "*");
}

function giveUp(frame) {
  const { block, timer } = drawings.get(frame);
  clearTimeout(timer);
  drawings.delete(frame);
  frame.remove();
  delete block.dataset.shows;
  block.querySelector("[data-diagram-toggle]")?.remove();
  block.querySelector("[data-code-language]").textContent = words("noDiagram");
}

function show(frame, height) {
  const { block, timer } = drawings.get(frame);
  clearTimeout(timer);
  frame.style.blockSize = `${Math.min(MAX_HEIGHT_PX, Math.max(48, Number(height) || 0))}px`;
  if (block.querySelector("[data-diagram-toggle]")) return;
  const toggle = Object.assign(document.createElement("button"), {
    type: "button",
    textContent: words("showCode"),
  });
  toggle.dataset.diagramToggle = "";
  block.querySelector("[data-copy-code]").before(toggle);
  block.dataset.shows = "diagram";
}

window.addEventListener("message", (event) => {
  const frame = [...drawings.keys()].find((one) => one.contentWindow === event.source);
  if (!frame) return;
  if (event.data?.state === "ready") send(frame);
  else if (event.data?.state === "drawn") show(frame, event.data.height);
  else if (event.data?.state === "failed") giveUp(frame);
});

on("click", "[data-diagram-toggle]", (event, toggle) => {
  const block = toggle.closest(".code-block");
  const showsCode = block.dataset.shows === "diagram";
  block.dataset.shows = showsCode ? "code" : "diagram";
  toggle.textContent = words(showsCode ? "showDiagram" : "showCode");
});

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      begin(target);
    }
  },
  { rootMargin: "400px" },
);

if (address) {
  forEach(".message-answer:not([data-events-url]) .prose", (prose) => {
    frameCode(prose);
    for (const code of prose.querySelectorAll("code.language-mermaid")) near.observe(code.closest(".code-block"));
  });
  const drawAgain = () => {
    if (paper.matches) return; // light by itself, and printed before anything is drawn
    [...drawings.keys()].filter((frame) => frame.isConnected).forEach(send);
  };
  dark.addEventListener("change", drawAgain);
  new MutationObserver(drawAgain).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
