/* Draws one page of a PDF, with a passage marked. Loaded by source.js where a PDF is shown; it loads PDF.js.

   Covers: the one worker that the page's policy lets begin (foundation/header_policies.py): the policy below
   knows no other address. PDF.js runs no code of documents (isEvalSupported, no scripting), and no links or
   forms of theirs are made. Does not cover: what a canvas shows; it is pixels. */
const WIDEST_PX = 900; // of a page that fits the width
const STEP = 1.25; // of the zoom
const [SMALLEST, LARGEST] = [0.5, 4]; // against the page that fits
const MOST_PIXELS = 16_000_000; // of a canvas; what is larger is drawn coarser
const FINEST = 2; // device pixels for one of CSS
let pdfjs = null;

async function load({ library, worker }) {
  if (pdfjs) return pdfjs;
  const address = new URL(worker, window.location.href).href;
  const allowed = window.trustedTypes?.createPolicy("pdf-worker", {
    createScriptURL(wanted) {
      if (wanted !== address) throw new TypeError("No other worker.");
      return wanted;
    },
  });
  pdfjs = await import(library);
  const started = new Worker(allowed?.createScriptURL(address) ?? address, { type: "module" });
  pdfjs.GlobalWorkerOptions.workerPort = started;
  return pdfjs;
}

/** Open the PDF that `view` (templates/rag/_pdf.html) names. */
export async function open(view) {
  try {
    await show(view);
  } catch (error) {
    giveUp(view, error);
  }
}

function giveUp(view, error) {
  if (error?.name === "RenderingCancelledException") return; // another page was asked for meanwhile
  if (view.dataset.text) {
    window.location.replace(view.dataset.text);
    return;
  }
  const told = document.createElement("p");
  told.className = "pdf-failed";
  told.setAttribute("role", "status");
  told.textContent = view.dataset.failed;
  view.replaceChildren(told);
}

async function show(view) {
  const data = view.dataset;
  const library = await load(data);
  const task = library.getDocument({
    url: data.pdf,
    cMapUrl: data.cmaps,
    cMapPacked: true,
    disableAutoFetch: true,
    enableXfa: false,
    isEvalSupported: false,
    useWasm: false,
    useWorkerFetch: false, // the worker's own policy reaches nothing
    verbosity: library.VerbosityLevel.ERRORS, // what is odd about a font is nobody's to read here
  });
  const pdf = await task.promise;
  const boxes = JSON.parse(data.boxes);
  const find = (name) => view.querySelector(`[data-pdf-${name}]`);
  const [field, stage, toPassage] = [find("number"), view.querySelector(".pdf-stage"), find("passage")];
  const passagePage = boxes[0]?.page ?? null;
  let number = Math.min(Math.max(1, Number(data.page)), pdf.numPages);
  let drawing = null;
  let turns = 0;
  let zoom = 1; // against the page that fits the width

  field.max = pdf.numPages;
  find("count").textContent = `/ ${pdf.numPages}`;

  async function turn(wanted, isAsked = true) {
    number = Math.min(Math.max(1, wanted || number), pdf.numPages);
    field.value = number;
    find("previous").disabled = number === 1;
    find("next").disabled = number === pdf.numPages;
    toPassage.hidden = passagePage === null || number === passagePage;
    const [turned, page] = [(turns += 1), await pdf.getPage(number)];
    drawing?.cancel();
    const percent = await draw(library, page, view, zoom, (task) => (drawing = task));
    stage.title = data.zoom.replace("{n}", percent);
    const marks = await findMarks(page, boxes.filter((one) => one.page === number));
    if (turned !== turns) return;
    showMarks(view, marks);
    const text = data.says.replace("{n}", number);
    view.querySelector("canvas").setAttribute("aria-label", text);
    if (isAsked) find("said").textContent = text;
  }

  const go = (wanted, isAsked) => turn(wanted, isAsked).catch((error) => giveUp(view, error));
  function setZoom(wanted) {
    zoom = Math.min(LARGEST, Math.max(SMALLEST, wanted));
    find("fit").setAttribute("aria-pressed", String(zoom === 1));
    find("smaller").disabled = zoom === SMALLEST;
    find("larger").disabled = zoom === LARGEST;
    go(number, false).then(() => (find("said").textContent = stage.title));
  }
  find("larger").addEventListener("click", () => setZoom(zoom * STEP));
  find("smaller").addEventListener("click", () => setZoom(zoom / STEP));
  find("fit").addEventListener("click", () => setZoom(1));
  find("previous").addEventListener("click", () => go(number - 1));
  find("next").addEventListener("click", () => go(number + 1));
  toPassage.addEventListener("click", () => {
    go(passagePage);
    stage.focus();
  });
  field.addEventListener("change", () => go(Number(field.value)));
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const size = { "+": zoom * STEP, "=": zoom * STEP, "-": zoom / STEP, 0: 1 }[event.key];
    const step = { PageDown: 1, ArrowRight: 1, PageUp: -1, ArrowLeft: -1 }[event.key];
    // an enlarged page is moved by the arrows
    if (!size && (!step || (event.key.startsWith("Arrow") && stage.scrollWidth > stage.clientWidth))) return;
    event.preventDefault();
    if (size) setZoom(size);
    else go(number + step);
  });
  let width = stage.clientWidth;
  new ResizeObserver(() => {
    if (!view.isConnected) task.destroy();
    else if (Math.abs(stage.clientWidth - width) > 8) {
      width = stage.clientWidth;
      go(number);
    }
  }).observe(stage);
  await turn(number, false);
}

/** Gives how large it is drawn, in percent of its own size. */
async function draw(library, page, view, zoom, keep) {
  const stage = view.querySelector(".pdf-stage");
  const canvas = view.querySelector("canvas");
  const natural = page.getViewport({ scale: 1 });
  const rim = 2 * Number.parseFloat(getComputedStyle(stage).paddingInlineStart);
  const room = Math.min((stage.clientWidth || 600) - rim, WIDEST_PX);
  const scale = (zoom * room) / natural.width;
  const viewport = page.getViewport({ scale });
  const finest = Math.sqrt(MOST_PIXELS / (viewport.width * viewport.height));
  const ratio = Math.min(window.devicePixelRatio || 1, FINEST, finest);
  canvas.width = Math.floor(viewport.width * ratio);
  canvas.height = Math.floor(viewport.height * ratio);
  const sheet = view.querySelector(".pdf-sheet");
  sheet.style.inlineSize = `${viewport.width}px`;
  sheet.style.blockSize = `${viewport.height}px`;
  for (const old of sheet.querySelectorAll(".pdf-mark")) old.remove();
  const transform = ratio === 1 ? null : [ratio, 0, 0, ratio, 0, 0];
  const task = page.render({ canvas, viewport, transform, annotationMode: library.AnnotationMode.DISABLE });
  keep(task);
  await task.promise;
  return Math.round(100 * scale * (72 / 96)); // points are larger than pixels
}

/** A mark for each box of the passage; where the parser knew none, for its words as PDF.js reads them. */
async function findMarks(page, places) {
  const natural = page.getViewport({ scale: 1 });
  const boxes = places.filter((one) => one.box).map((one) => turnBox(natural, one.box));
  const texts = places.filter((one) => !one.box).map((one) => one.text);
  if (texts.length) boxes.push(...(await findWords(page, natural, texts.join(" "))));
  const share = (length, whole) => `${(100 * length) / whole}%`;
  return boxes.map(([x1, y1, x2, y2]) => {
    const mark = document.createElement("span");
    mark.className = "pdf-mark";
    mark.style.left = share(Math.min(x1, x2), natural.width);
    mark.style.top = share(Math.min(y1, y2), natural.height);
    mark.style.width = share(Math.abs(x2 - x1), natural.width);
    mark.style.height = share(Math.abs(y2 - y1), natural.height);
    return mark;
  });
}

/** Of what stays above the page while it scrolls. */
const barHeight = (view) => view.querySelector(".pdf-bar").offsetHeight;

function showMarks(view, marks) {
  const sheet = view.querySelector(".pdf-sheet");
  for (const old of sheet.querySelectorAll(".pdf-mark")) old.remove();
  sheet.append(...marks);
  const [top, box] = [marks[0], view.closest(".sheet-body")];
  if (top && box) box.scrollTop += top.getBoundingClientRect().top - box.getBoundingClientRect().top - barHeight(view) - 32;
  else top?.scrollIntoView({ block: "center" });
}

/** Left, bottom, right, top of the page as corners of its picture. */
const turnBox = (viewport, [left, bottom, right, top]) => [
  ...viewport.convertToViewportPoint(left, bottom),
  ...viewport.convertToViewportPoint(right, top),
];

const bare = (text) => text.normalize("NFKC").replace(/\s+/g, "");

async function findWords(page, natural, text) {
  const { items } = await page.getTextContent();
  const wanted = bare(text);
  const starts = [];
  let all = "";
  for (const item of items) {
    starts.push(all.length);
    all += bare(item.str ?? "");
  }
  const first = wanted ? all.indexOf(wanted) : -1;
  if (first < 0) return [];
  return items.flatMap((item, index) => {
    const length = bare(item.str ?? "").length;
    if (!length || starts[index] >= first + wanted.length || starts[index] + length <= first) return [];
    const [, , , , x, y] = item.transform;
    return [turnBox(natural, [x, y - item.height * 0.2, x + item.width, y + item.height])];
  });
}
