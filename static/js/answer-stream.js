/* Follows an answer while it is written.

   The server sends, on data-events-url: `model` {"name", "label"}: who answers, where another was named;
   `thinking` {"text": a piece of what the model thinks, "anew": bool};
   `update` {"append": html, "tail": html, "anew": bool}: `append` joins what no longer changes, `tail` replaces
   the block that is still growing, `anew` drops all that came before; `done` {"html": _answer_done.html}, which
   carries more fragments, out of band. After a break the stream goes on at ?after=<last id>; without an id it
   begins anew. A message with data-after was rendered up to that id. */
import { leaveStop } from "./composer.js";
import { refreshList } from "./conversations.js";
import { frameCode } from "./copy.js";
import { showNotice } from "./notices.js";
import { announce, forEach, goToLogIn, words } from "./page.js";
import { keepSelection } from "./selection.js";
import { parsePage, proseFragment } from "./trusted-fragments.js";

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 15_000;
const FAILURES_UNTIL_RELOAD = 3;
const ANNOUNCED_CHARACTERS = 400;

class AnswerStream {
  constructor(message) {
    this.message = message;
    this.stable = message.querySelector("[data-answer-stable]");
    this.tail = message.querySelector("[data-answer-tail]");
    this.elapsed = message.querySelector("[data-elapsed]");
    this.reasoning = message.querySelector("[data-reasoning]");
    this.after = message.dataset.after ?? "";
    this.failures = 0;
    this.waiting = [];
    this.startedAt = this.findStart();
    this.clock = setInterval(() => this.showElapsed(), 1000);
    this.connect();
  }

  findStart() {
    const age = Date.now() - Date.parse(this.message.querySelector("time").dateTime);
    return Date.now() - (age > 0 && age < 600_000 ? age : 0); // clocks may differ: then count from now
  }

  connect() {
    const url = new URL(this.message.dataset.eventsUrl, window.location.href);
    if (this.after) url.searchParams.set("after", this.after);
    this.source = new EventSource(url);
    this.source.addEventListener("model", (event) => this.nameModel(event));
    this.source.addEventListener("thinking", (event) => this.think(event));
    this.source.addEventListener("update", (event) => this.receive(event));
    this.source.addEventListener("done", (event) => this.finish(event));
    this.source.addEventListener("error", () => this.reconnect());
  }

  receive(event) {
    if (!this.message.isConnected) {
      this.close();
      return;
    }
    this.failures = 0;
    this.after = event.lastEventId;
    this.waiting.push(JSON.parse(event.data));
    this.frame ??= requestAnimationFrame(() => this.show());
  }

  nameModel(event) {
    const { name, label } = JSON.parse(event.data);
    const shown = this.message.querySelector(".message-model");
    shown.textContent = label;
    shown.title = name;
  }

  think(event) {
    this.failures = 0;
    this.after = event.lastEventId;
    this.isThinking = true;
    const { text, anew } = JSON.parse(event.data);
    const thoughts = this.reasoning.querySelector(".reasoning-text");
    if (anew) thoughts.replaceChildren();
    thoughts.append(text);
    this.reasoning.hidden = false;
    this.showElapsed();
  }

  /**
   * Show all that has come since the last frame: every `append` since the last `anew`, and the last `tail`.
   */
  show() {
    this.frame = null;
    if (!this.waiting.length) return;
    const select = keepSelection(this.stable.parentElement);
    const begin = this.waiting.findLastIndex((update) => update.anew);
    const updates = this.waiting.splice(0).slice(Math.max(0, begin));
    if (begin >= 0) this.stable.replaceChildren();
    const append = updates.map((update) => update.append ?? "").join("");
    if (append) this.stable.append(framed(append));
    this.tail.replaceChildren(framed(updates.at(-1).tail ?? ""));
    select(this.stable.parentElement);
    this.message.dataset.status = "streaming";
    this.elapsed.textContent = "";
  }

  showElapsed() {
    const seconds = Math.round((Date.now() - this.startedAt) / 1000);
    if (!this.message.isConnected) this.close();
    else if (this.failures > 1) this.elapsed.textContent = words("reconnecting");
    else if (this.message.dataset.status === "pending" && seconds >= 2) {
      const doing = words(this.isThinking ? "thinking" : "waiting");
      this.elapsed.textContent = `${doing} · ${words("seconds", seconds)}`;
    } else this.elapsed.textContent = "";
  }

  finish(event) {
    this.close();
    if (!this.message.isConnected) return;
    const { id } = this.message;
    const hadFocus = this.message.contains(document.activeElement);
    const wasOpen = this.reasoning.open;
    const select = keepSelection(this.stable.parentElement);
    const wasOnStop = document.activeElement?.matches("[data-stop]");
    window.htmx.swap(this.message, JSON.parse(event.data).html, {
      swapStyle: "outerHTML",
      swapDelay: 0,
      settleDelay: 0,
    });
    const finished = document.getElementById(id);
    if (wasOpen) finished?.querySelectorAll(".reasoning").forEach((thoughts) => (thoughts.open = true));
    if (hadFocus) finished?.focus({ preventScroll: true });
    else if (wasOnStop) leaveStop(finished);
    select(finished?.querySelector(".prose"));
    tell(finished);
    refreshList();
  }

  reconnect() {
    this.source.close();
    if (!this.message.isConnected) {
      this.close();
      return;
    }
    this.failures += 1;
    if (this.failures >= FAILURES_UNTIL_RELOAD && navigator.onLine) this.reload();
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
  }

  /** The stream does not come back: take the message as the page has it now, whatever became of it. */
  async reload() {
    try {
      const response = await fetch(window.location.pathname + window.location.search);
      if (response.status === 404) {
        this.close();
        showNotice(words("gone"));
      }
      if (!response.ok) return;
      if (goToLogIn(response.url)) return;
      const page = parsePage(await response.text());
      const fresh = page.getElementById(this.message.id);
      if (!fresh || fresh.dataset.eventsUrl || !this.message.isConnected) return;
      this.close();
      const select = keepSelection(this.stable.parentElement);
      window.htmx.swap(this.message, fresh.outerHTML, {
        swapStyle: "outerHTML",
        swapDelay: 0,
        settleDelay: 0,
      });
      select(document.getElementById(fresh.id)?.querySelector(".prose"));
    } catch {
      // Still out of reach: the next try comes anyway.
    }
  }

  close() {
    this.source?.close();
    clearInterval(this.clock);
    clearTimeout(this.timer);
    if (this.frame) cancelAnimationFrame(this.frame);
  }
}

function framed(html) {
  const fragment = proseFragment(html);
  frameCode(fragment);
  return fragment;
}

/**
 * Say that the answer is there: a short one whole, of a long one the first sentences, and where to read on.
 * Nobody can stop a live region.
 */
function tell(message) {
  if (!message) return;
  if (message.dataset.status === "stopped") announce(words("answerStopped"));
  else if (message.dataset.status === "failed") announce(words("answerFailed"));
  else {
    const text =
      message.querySelector(".prose").innerText.trim() ||
      message.querySelector(".message-state p").textContent;
    const beginning = firstSentences(text, ANNOUNCED_CHARACTERS);
    announce(
      `${words("answerFinished")} ${beginning}${beginning === text ? "" : ` ${words("answerGoesOn")}`}`,
    );
  }
}

/** As many whole sentences as fit; of a sentence that does not fit by itself, its whole words. */
function firstSentences(text, limit) {
  if (text.length <= limit) return text;
  for (const granularity of ["sentence", "word"]) {
    const parts = new Intl.Segmenter(document.documentElement.lang, { granularity }).segment(
      text.slice(0, limit + 1),
    );
    const end = [...parts].at(-1).index;
    if (end) return text.slice(0, end).trim();
  }
  return text.slice(0, limit);
}

const followed = new WeakSet();
forEach(".message[data-events-url]", (message) => {
  if (followed.has(message)) return;
  followed.add(message);
  new AnswerStream(message);
});
