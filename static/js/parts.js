/* A large file goes up in parts, one after the other. A part that fails is sent again after a while; without a
   network all stands still, and goes on by itself when that is back. This tab keeps which file is which upload, so
   that a page that is loaded anew takes the same file up where it stood: the server tells which parts it has
   (rag/views/uploads.py). */
import { PREFIX } from "./drafts.js";
import { goToLogIn } from "./page.js";

const KEPT = `${PREFIX}file:`;
const PAUSES_S = [1, 2, 4, 8, 15, 30, 60]; // before the further attempts at one request
const STILL_MS = 60_000; // without a byte: the connection is lost, whatever the browser thinks
const PASSING = new Set([0, 408, 500, 502, 503, 504]);
const BUSY = "upload_busy"; // somebody is putting it together: our own request whose answer was lost
const LOGGED_OUT = "logged_out";
const GONE = new Set(["upload_not_found", "upload_expired", "upload_cancelled"]);

/** What the server said; `status` 0: nothing, for two minutes, or that one has to log in. Then what it has stays. */
export class Refused extends Error {
  constructor({ status, body }) {
    super(body.detail ?? "");
    this.status = status;
    this.code = body.code ?? "";
  }
}

class Stopped extends Error {}

/** Those of a place that were begun and not finished in this tab: {key, id, name, size, sent}, bytes. */
export function listUnfinished(collection) {
  return Object.keys(sessionStorage)
    .filter((key) => key.startsWith(KEPT) && JSON.parse(key.slice(KEPT.length))[0] === collection)
    .map((key) => ({ key, ...JSON.parse(sessionStorage.getItem(key)) }))
    .map((one) => ({ ...one, sent: Math.min(one.size, one.parts.length * one.partBytes) }));
}

export function forget(key) {
  sessionStorage.removeItem(key);
}

/** Let the server give up what it has; without an answer it does so within an hour. */
export function giveUp({ key, id }, { url, token }) {
  forget(key);
  if (!id) return;
  const headers = { "X-CSRFToken": token };
  fetch(`${url}${id}/cancel/`, { method: "POST", headers, keepalive: true }).catch(() => {});
}

async function isSame(bytes, sha256) {
  if (!crypto.subtle) return true; // not over plain http: name, size and time have to do
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await bytes.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

function fieldsOf(values) {
  const fields = new FormData();
  for (const [name, value] of Object.entries(values)) fields.append(name, value);
  return fields;
}

/** One file on its way. `place`: {url, token, collection ("": for a question), path}; `tell({sent, isWaiting})`
    is called as it gets on. */
export class Sending {
  constructor(file, place, tell) {
    this.file = file;
    this.place = place;
    this.tell = tell;
    this.isStopped = false;
    this.sent = 0;
    const { path, collection } = place;
    this.key = KEPT + JSON.stringify([collection, path, file.size, file.lastModified]);
    this.kept = JSON.parse(sessionStorage.getItem(this.key));
  }

  /** The server's last answer; null where it was cancelled. Raises Refused. */
  async run() {
    for (let isAnew = false; ; isAnew = true) {
      try {
        return await this.sendAll();
      } catch (error) {
        if (error instanceof Stopped) return null;
        if (error.status) giveUp({ key: this.key, id: this.kept?.id }, this.place);
        if (isAnew || !GONE.has(error.code)) throw error;
        this.kept = null;
      }
    }
  }

  cancel() {
    this.isStopped = true;
    this.request?.abort();
    this.goOn?.();
    giveUp({ key: this.key, id: this.kept?.id }, this.place);
  }

  async sendAll() {
    const { collection, path } = this.place;
    const there = this.kept ? await this.takeUp() : await this.begin();
    if (there.file) return there;
    for (let number = this.kept.parts.length; number * this.kept.partBytes < this.file.size; number += 1) {
      const data = fieldsOf({ data: this.slice(number) });
      const part = await this.ask("POST", `${this.kept.id}/parts/`, data, number * this.kept.partBytes);
      this.kept.parts.push(part.id);
      this.keep();
    }
    const answer = await this.ask(
      "POST",
      `${this.kept.id}/complete/`,
      fieldsOf({ parts: this.kept.parts.join(","), collection, path }),
    );
    if (collection) forget(this.key); // that of a question is taken up until the question is asked
    return answer;
  }

  async begin() {
    const { name, type, size } = this.file;
    const { collection } = this.place;
    const begun = await this.ask("POST", "", fieldsOf({ name, type, size, collection }));
    this.kept = { id: begun.id, partBytes: begun.part_bytes, parts: [], name: this.place.path, size };
    this.keep();
    return begun;
  }

  /** Go on behind those parts that are there and hold what the file holds. */
  async takeUp() {
    const there = await this.ask("GET", `${this.kept.id}/`);
    if (there.state === "completed" && !there.file && !this.place.collection)
      throw new Refused({ status: 404, body: { code: "upload_not_found" } });
    if (there.state !== "pending") return there;
    const hashes = new Map(there.parts.map((part) => [part.id, part.sha256]));
    let held = 0;
    for (const id of this.kept.parts) {
      if (!hashes.has(id) || !(await isSame(this.slice(held), hashes.get(id)))) break;
      held += 1;
    }
    this.kept.parts.length = held;
    this.keep();
    return there;
  }

  slice(number) {
    const start = number * this.kept.partBytes;
    return this.file.slice(start, start + this.kept.partBytes);
  }

  keep() {
    sessionStorage.setItem(this.key, JSON.stringify(this.kept));
    this.say(this.kept.parts.length * this.kept.partBytes, false);
  }

  say(sent, isWaiting) {
    this.sent = Math.min(sent, this.file.size);
    this.tell({ sent: this.sent, isWaiting });
  }

  /** One request, again where it was lost; `before`: bytes that were sent before those of its body. */
  async ask(method, address, body = null, before = null) {
    for (let tries = 0; ; tries += navigator.onLine ? 1 : 0) {
      if (this.isStopped) throw new Stopped();
      const answer = await this.askOnce(method, address, body, before);
      if (this.isStopped) throw new Stopped();
      if (answer.status >= 200 && answer.status < 300) return answer.body;
      const { code } = answer.body;
      const mayPass = code !== LOGGED_OUT && (PASSING.has(answer.status) || code === BUSY || answer.afterS);
      if (!mayPass || tries >= PAUSES_S.length) throw new Refused(answer);
      await this.pause(Math.max(PAUSES_S[tries], answer.afterS));
    }
  }

  pause(seconds) {
    this.say(this.sent, true);
    return new Promise((resolve) => {
      const timer = navigator.onLine ? setTimeout(() => this.goOn(), 1_000 * seconds) : null;
      this.goOn = () => {
        clearTimeout(timer);
        window.removeEventListener("online", this.goOn);
        this.goOn = null;
        this.say(this.sent, false);
        resolve();
      };
      window.addEventListener("online", this.goOn);
    });
  }

  askOnce(method, address, body, before) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      let watch = null;
      const listen = () => {
        clearTimeout(watch);
        watch = setTimeout(() => request.abort(), STILL_MS);
      };
      this.request = request;
      request.open(method, this.place.url + address);
      request.setRequestHeader("Accept", "application/json");
      if (method !== "GET") request.setRequestHeader("X-CSRFToken", this.place.token);
      request.upload.addEventListener("progress", (event) => {
        listen();
        if (before !== null) this.say(before + Math.min(event.loaded, this.kept.partBytes), false);
      });
      request.addEventListener("loadend", () => {
        clearTimeout(watch);
        this.request = null;
        resolve(read(request));
      });
      listen();
      request.send(body);
    });
  }
}

function read(request) {
  if (request.responseURL && goToLogIn(request.responseURL))
    return { status: 0, body: { code: LOGGED_OUT }, afterS: 0 };
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // an answer from something between us and the server, or none
  }
  return { status: request.status, body, afterS: Number(request.getResponseHeader("Retry-After")) || 0 };
}
