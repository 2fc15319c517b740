/* Copying: answers (as formatted text and as plain text), code blocks, keys. Frames code blocks with their
   language and a button. */
import { showNotice } from "./notices.js";
import { announce, forEach, goToLogIn, icon, on, words } from "./page.js";

async function toClipboard(text, html) {
  if (navigator.clipboard?.write && html) {
    const parts = {
      "text/plain": new Blob([text], { type: "text/plain" }),
      "text/html": new Blob([html], { type: "text/html" }),
    };
    return navigator.clipboard.write([new ClipboardItem(parts)]);
  }
  if (navigator.clipboard?.write && text instanceof Promise) {
    const blob = text.then((written) => new Blob([written], { type: "text/plain" }));
    return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  }
  if (navigator.clipboard) return navigator.clipboard.writeText(await text);
  // Plain HTTP in a company network: no clipboard object there.
  const field = Object.assign(document.createElement("textarea"), {
    value: await text,
    className: "visually-hidden",
  });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("refused");
}

async function copyFrom(button, text, html) {
  try {
    await toClipboard(text, html);
  } catch {
    showNotice(words("notCopied"));
    return;
  }
  announce(words("copied"));
  const use = button.querySelector("use");
  const label = button.querySelector("[data-copy-label]");
  const [before, said] = [use.getAttribute("href"), label?.textContent];
  if (before.endsWith("#check")) return;
  use.setAttribute("href", icon("check").firstChild.getAttribute("href"));
  if (label) label.textContent = words("copied");
  setTimeout(() => {
    use.setAttribute("href", before);
    if (label) label.textContent = said;
  }, 1600);
}

/** An answer without our own furniture. */
function textOf(source) {
  const copy = source.cloneNode(true);
  copy.querySelectorAll(".code-head").forEach((head) => head.remove());
  copy.querySelectorAll(".code-block").forEach((frame) => frame.replaceWith(...frame.childNodes));
  return copy;
}

on("click", "[data-copy-message]", (event, button) => {
  const source = button.closest(".message").querySelector("[data-copy-source]");
  if (source.matches(".bubble")) copyFrom(button, source.textContent);
  else copyFrom(button, plain(source), textOf(source).innerHTML);
});

/** Text as it is seen; the language names above code blocks are left out. */
function plain(source) {
  const heads = source.querySelectorAll(".code-head");
  heads.forEach((head) => (head.hidden = true));
  const text = source.innerText;
  heads.forEach((head) => (head.hidden = false));
  return text.trim();
}

/* The text as it was written comes from the server. The clipboard is asked at once, while the click still
   counts; it waits for what it was promised. */
on("click", "[data-copy-markdown]", (event, button) => copyFrom(button, readText(button.dataset.copyMarkdown)));

async function readText(address) {
  const response = await fetch(address);
  if (!response.ok || goToLogIn(response.url)) throw new Error(String(response.status));
  return response.text();
}

on("click", "[data-copy]", (event, button) =>
  copyFrom(button, document.querySelector(button.dataset.copy).textContent.trim()),
);
on("click", "[data-copy-code]", (event, button) =>
  copyFrom(button, button.closest(".code-block").querySelector("pre").textContent.replace(/\n$/, "")),
);

/** Put each code block below `root` into a frame. Done before it is shown, so that nothing moves. */
export function frameCode(root) {
  for (const pre of root.querySelectorAll("pre")) {
    if (pre.parentElement?.classList.contains("code-block")) continue;
    const frame = Object.assign(document.createElement("div"), { className: "code-block" });
    const head = Object.assign(document.createElement("div"), { className: "code-head" });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const label = document.createElement("span");
    const language = [...(pre.querySelector("code")?.classList ?? [])].find((name) =>
      name.startsWith("language-"),
    );
    button.dataset.copyCode = "";
    button.setAttribute("aria-label", words("copyCode"));
    label.dataset.copyLabel = "";
    label.textContent = words("copy");
    button.append(icon("copy"), label);
    const name = document.createElement("span");
    name.dataset.codeLanguage = "";
    name.textContent = language?.slice("language-".length) ?? "";
    head.append(name, button);
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    frame.append(head, pre);
  }
}

forEach(".message-answer .prose", frameCode);
