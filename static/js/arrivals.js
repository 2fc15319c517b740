/* Brings files and folders into a collection: a few at a time, each with its progress, and again where the
   connection broke off; large ones in parts (parts.js). The rest goes on whatever becomes of one. */
import { sayBytes } from "./choosing.js";
import { forEachOnce, goToLogIn, on } from "./page.js";
import { Sending, giveUp, listUnfinished } from "./parts.js";

const AT_ONCE = 3;
const TRIES = 3; // of one file, while the connection breaks off
const REFRESH_MS = 1_500;
const HIDDEN = /(^|\/)(\.|__MACOSX|Thumbs\.db|desktop\.ini)/; // what systems put beside people's files

forEachOnce("[data-arrivals]", (form) => {
  const list = form.querySelector("[data-arrivals-list]");
  const lines = list.querySelector("[data-files]");
  const said = list.querySelector("[data-arrivals-said]");
  const template = form.querySelector("[data-file-template]");
  const texts = form.querySelector("[data-arrivals-words]").dataset;
  const mostBytes = Number(form.dataset.mostBytes);
  const partsFrom = Number(form.dataset.partsFrom);
  const place = {
    url: form.dataset.uploadsUrl,
    token: form.querySelector("[name=csrfmiddlewaretoken]").value,
    collection: form.dataset.collection,
  };
  const paused = new Map(); // path and size → line of what a page before this one began
  const still = new Set(); // of those that are moving: what waits for the network
  const waiting = [];
  const count = { all: 0, sent: 0, failed: 0, moving: 0 };
  let refreshing = null;

  function fill(text) {
    return text.replace("{n}", count.failed && !busy() ? count.failed : count.sent).replace("{all}", count.all);
  }

  const busy = () => waiting.length > 0 || count.moving > 0;

  function tell() {
    if (still.size && still.size === count.moving) said.textContent = texts.waiting;
    else if (busy()) said.textContent = fill(texts.sending);
    else if (!count.all) said.textContent = texts.paused;
    else said.textContent = count.failed ? fill(texts.failed) : texts.done;
  }

  /** The list of documents, soon: several files that arrive together make one look. */
  function refresh() {
    refreshing ??= setTimeout(() => {
      refreshing = null;
      const documents = document.getElementById("documents");
      if (documents)
        window.htmx.ajax("GET", documents.dataset.refresh, { target: "#documents", swap: "outerHTML" });
    }, REFRESH_MS);
  }

  function makeLine(path, size) {
    const line = template.content.firstElementChild.cloneNode(true);
    const name = line.querySelector(".file-name");
    name.textContent = path;
    name.title = path;
    line.querySelector(".figure").textContent = sayBytes(size);
    line.querySelector("progress").setAttribute("aria-label", path);
    const button = line.querySelector("[data-cancel]");
    button.setAttribute("aria-label", `${button.textContent.trim()}: ${path}`);
    lines.append(line);
    return line;
  }

  function add(file, path) {
    const key = `${path} ${file.size}`;
    paused.get(key)?.remove();
    paused.delete(key);
    const line = makeLine(path, file.size);
    const item = { file, path, line, tries: 0 };
    line.querySelector("[data-cancel]").addEventListener("click", () => item.sending.cancel());
    line.querySelector("[data-again]").addEventListener("click", () => {
      count.failed -= 1;
      item.tries = 0;
      mark(item, "");
      queue(item);
      list.querySelector("[data-arrivals-clear]").focus();
    });
    count.all += 1;
    if (file.size > mostBytes) fail(item, texts.tooLarge, false);
    else if (!file.size) fail(item, texts.empty, false);
    else queue(item);
  }

  function queue(item) {
    waiting.push(item);
    start();
  }

  function start() {
    while (count.moving < AT_ONCE && waiting.length) {
      count.moving += 1;
      const item = waiting.shift();
      if (item.file.size < partsFrom) send(item);
      else sendLarge(item);
    }
    tell();
  }

  function mark(item, note, state = "") {
    const text = item.line.querySelector(".file-note");
    item.line.className = state ? `file file-${state}` : "file";
    text.textContent = note;
    text.hidden = !note;
    item.line.querySelector("progress").hidden = Boolean(state);
    item.line.querySelector("[data-again]").hidden = true;
    item.line.querySelector("[data-cancel]").hidden = true;
  }

  function fail(item, note, mayTry = true) {
    count.failed += 1;
    mark(item, note, "bad");
    lines.prepend(item.line); // in sight, however many there are
    item.line.querySelector("[data-again]").hidden = !mayTry;
    tell();
  }

  function send(item) {
    const request = new XMLHttpRequest();
    const body = new FormData();
    const meter = item.line.querySelector("progress");
    body.append("path", item.path);
    body.append("file", item.file, item.file.name);
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) meter.value = (100 * event.loaded) / event.total;
    });
    request.addEventListener("loadend", () => {
      count.moving -= 1;
      settle(item, request);
      start();
    });
    request.send(body);
  }

  async function sendLarge(item) {
    const cancel = item.line.querySelector("[data-cancel]");
    item.sending = new Sending(item.file, { ...place, path: item.path }, (how) => showProgress(item, how));
    cancel.hidden = false;
    try {
      const answer = await item.sending.run();
      if (answer) take(item, answer);
      else takeAway(item);
    } catch (error) {
      const why = error.status ? error.message || texts.refused : error.code ? texts.refused : texts.lost;
      fail(item, why, error.status !== 413);
    }
    still.delete(item);
    count.moving -= 1;
    start();
  }

  function takeAway(item) {
    count.all -= 1;
    item.line.remove();
    list.hidden = !lines.childElementCount;
    (list.hidden ? form.querySelector("input[type=file]") : list.querySelector("[data-arrivals-clear]")).focus();
  }

  function showProgress(item, { sent, isWaiting }) {
    const { size } = item.file;
    const note = item.line.querySelector(".file-note");
    item.line.querySelector("progress").value = (100 * sent) / size;
    item.line.querySelector(".figure").textContent = texts.sent
      .replace("{sent}", sayBytes(sent))
      .replace("{size}", sayBytes(size));
    note.textContent = isWaiting ? texts.waiting : "";
    note.hidden = !isWaiting;
    if (isWaiting === still.has(item)) return;
    if (isWaiting) still.add(item);
    else still.delete(item);
    tell();
  }

  function take(item, answer) {
    count.sent += 1;
    item.line.querySelector(".figure").textContent = sayBytes(item.file.size);
    mark(item, answer.note, "done");
    refresh();
  }

  function settle(item, request) {
    if (request.status === 0 && (item.tries += 1) < TRIES) {
      waiting.push(item);
    } else if (request.status === 0) {
      fail(item, texts.lost);
    } else if (request.responseURL && goToLogIn(request.responseURL)) {
      fail(item, texts.refused);
    } else if (request.status === 201) {
      take(item, JSON.parse(request.responseText));
    } else {
      fail(item, explain(request), request.status !== 413);
    }
  }

  function explain(request) {
    try {
      return JSON.parse(request.responseText).detail || texts.refused;
    } catch {
      return request.status === 413 ? texts.tooLarge : texts.refused;
    }
  }

  function addAll(files) {
    const wanted = files.filter(({ path }) => !HIDDEN.test(path));
    if (!wanted.length) return;
    list.hidden = false;
    for (const { file, path } of wanted) add(file, path);
  }

  for (const field of form.querySelectorAll("input[type=file]")) {
    field.addEventListener("change", () => {
      addAll([...field.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      field.value = "";
    });
  }

  form.addEventListener("drop", async (event) => {
    event.preventDefault(); // the field would take the files of a folder for one
    form.querySelector(".drop-zone").classList.remove("is-over");
    addAll(await readDropped(event.dataTransfer));
  });
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("submit", (event) => event.preventDefault());

  list.querySelector("[data-arrivals-clear]").addEventListener("click", () => {
    for (const line of lines.querySelectorAll(".file-done, .file-bad")) line.remove();
    list.hidden = !lines.childElementCount;
    if (!busy()) Object.assign(count, { all: 0, sent: 0, failed: 0 });
    form.querySelector("input[type=file]").focus();
  });

  // what a page before this one began and could not end
  for (const one of listUnfinished(place.collection)) {
    const line = makeLine(one.name, one.size);
    const cancel = line.querySelector("[data-cancel]");
    line.querySelector("progress").value = (100 * one.sent) / one.size;
    const note = line.querySelector(".file-note");
    note.textContent = texts.takeUp;
    note.hidden = false;
    cancel.hidden = false;
    cancel.addEventListener("click", () => {
      giveUp(one, place);
      line.remove();
      list.hidden = !lines.childElementCount;
      form.querySelector("input[type=file]").focus();
    });
    paused.set(`${one.name} ${one.size}`, line);
    list.hidden = false;
    tell();
  }

  window.addEventListener("beforeunload", (event) => {
    if (busy()) event.preventDefault();
  });
});

/** All files of what was dropped, those in folders with their paths. */
async function readDropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.push({ file, path: path + entry.name });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!some.length) return;
    for (const one of some) await walk(one, `${path}${entry.name}/`, found);
  }
}

// a dialog that is asked for by keyboard from the label of the folder's field
on("keydown", ".bring-folder input", (event, field) => {
  if (event.key === "Enter") field.click();
});
