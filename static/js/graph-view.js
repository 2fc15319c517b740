/* The picture of a collection's names (templates/rag/collection_graph.html), on that tab alone. The table beside
   it says the same to those who do not see it, or whose browser draws no WebGL. */
import { forEachOnce } from "./page.js";

const ROUNDS = 150;
const EDGE_STRENGTH = 0.02;
const LABEL_GAP = 4; // px
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Place the names: all push each other away, lines pull (Fruchterman and Reingold 1991). The same each time. */
function place(nodes, edges) {
  const points = new Map(
    nodes.map(([key], at) => [key, { x: Math.cos(at * 2.4) * Math.sqrt(at + 1), y: Math.sin(at * 2.4) * Math.sqrt(at + 1) }]),
  );
  const all = [...points.values()];
  for (let round = 0; round < ROUNDS; round += 1) {
    const heat = 1 - round / ROUNDS;
    for (const one of all) {
      one.dx = -one.x * 0.02;
      one.dy = -one.y * 0.02;
      for (const other of all) {
        const [x, y] = [one.x - other.x, one.y - other.y];
        const square = x * x + y * y + 0.01;
        one.dx += x / square;
        one.dy += y / square;
      }
    }
    for (const [source, target] of edges) {
      const [one, other] = [points.get(source), points.get(target)];
      const [x, y] = [(other.x - one.x) * EDGE_STRENGTH, (other.y - one.y) * EDGE_STRENGTH];
      one.dx += x;
      one.dy += y;
      other.dx -= x;
      other.dy -= y;
    }
    for (const one of all) {
      const length = Math.hypot(one.dx, one.dy) || 1;
      const step = Math.min(length, heat) / length;
      one.x += one.dx * step;
      one.y += one.dy * step;
    }
  }
  return points;
}

/** A token's colour as WebGL takes it: painted, and read back. */
function colour(box, token) {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  box.style.color = `var(${token})`;
  pen.fillStyle = getComputedStyle(box).color;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** A name beside its dot: to the left where the picture ends on the right. Gives its place: left, width, height. */
function placeLabel(pen, data, settings) {
  pen.font = `${settings.labelWeight} ${settings.labelSize}px ${settings.labelFont}`;
  const [wide, width, gap] = [pen.canvas.clientWidth, pen.measureText(data.label).width, data.size + LABEL_GAP];
  const isLeft = data.x + gap + width > wide && data.x > wide / 2;
  const left = isLeft ? data.x - gap - width : data.x + gap;
  return [Math.max(LABEL_GAP, Math.min(left, wide - width - LABEL_GAP)), width, settings.labelSize];
}

function drawLabel(pen, data, settings) {
  if (!data.label) return;
  const [left, , height] = placeLabel(pen, data, settings);
  pen.fillStyle = settings.labelColor.color;
  pen.fillText(data.label, left, data.y + height / 3);
}

/** The name at which one points, before all others. */
function drawPointed(pen, data, settings) {
  if (!data.label) return;
  const [left, width, height] = placeLabel(pen, data, settings);
  pen.fillStyle = settings.labelColor.behind;
  pen.fillRect(left - LABEL_GAP, data.y - height, width + 2 * LABEL_GAP, 2 * height);
  drawLabel(pen, data, settings);
}

function draw(box) {
  const { nodes, edges } = JSON.parse(box.dataset.graph);
  box.hidden = false;
  const points = place(nodes, edges);
  const graph = new window.graphology.Graph({ type: "undirected" });
  for (const [key, label, count, isTitle, address] of nodes) {
    const { x, y } = points.get(key);
    graph.addNode(key, { x, y, label, isTitle, address, size: 3 + 2 * Math.sqrt(count) });
  }
  for (const [source, target, weight] of edges) graph.addEdge(source, target, { size: Math.min(4, weight / 2) });
  const picture = new window.Sigma(graph, box, {
    labelFont: "Inter, sans-serif",
    labelSize: 12,
    zIndex: true,
    defaultDrawNodeLabel: drawLabel,
    defaultDrawNodeHover: drawPointed,
  });
  const paint = () => {
    const tokens = ["--series-1", "--series-2", "--line", "--text", "--surface-1"];
    const [title, name, line, text, behind] = tokens.map((token) => colour(box, token));
    picture.setSetting("nodeReducer", (key, data) => ({ ...data, color: data.isTitle ? title : name }));
    picture.setSetting("edgeReducer", (key, data) => ({ ...data, color: line }));
    picture.setSetting("labelColor", { color: text, behind });
  };
  paint();
  dark.addEventListener("change", paint);
  new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  picture.on("clickNode", ({ node }) => window.location.assign(graph.getNodeAttribute(node, "address")));
  picture.on("enterNode", () => box.classList.add("is-pointed"));
  picture.on("leaveNode", () => box.classList.remove("is-pointed"));
}

forEachOnce("[data-graph]", (box) => {
  try {
    draw(box);
  } catch {
    box.hidden = true; // no WebGL: the table says it all
  }
});
