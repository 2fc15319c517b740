/* Draws one diagram, in a frame with an origin of its own. The page that made the frame sends {source, theme};
   it hears {state: "ready"}, {state: "drawn", height} or {state: "failed"}. A plain script: modules are not
   loaded into an origin that is nobody's. */
(() => {
  const MAX_CHARACTERS = 20_000;
  const MAX_EDGES = 400;
  const KEPT = [
    ...["secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering"],
    ...["htmlLabels", "dompurifyConfig", "themeCSS", "fontFamily", "altFontFamily"],
  ];
  const place = document.getElementById("diagram");
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  let drawings = 0;

  const tell = (message) => window.parent.postMessage(message, "*"); // our own origin has no name here

  /** A token's colour as Mermaid reads it: it knows no oklch. */
  function colour(name) {
    const probe = place.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    pen.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    pen.fillRect(0, 0, 1, 1);
    const bytes = pen.getImageData(0, 0, 1, 1).data;
    return `#${[...bytes.slice(0, 3)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }

  function colours(isDark) {
    return {
      darkMode: isDark,
      background: colour("surface-1"),
      mainBkg: colour("raised"),
      primaryColor: colour("accent-soft"),
      primaryTextColor: colour("text"),
      primaryBorderColor: colour("accent"),
      secondaryColor: colour("surface-3"),
      tertiaryColor: colour("surface-2"),
      noteBkgColor: colour("warn-soft"),
      noteTextColor: colour("text"),
      noteBorderColor: colour("warn"),
      edgeLabelBackground: colour("surface-1"),
      lineColor: colour("text-muted"),
      textColor: colour("text"),
      fontSize: "15px",
    };
  }

  async function draw({ source, theme }) {
    document.documentElement.dataset.theme = theme;
    window.mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      secure: KEPT, // what a diagram's own text cannot change
      htmlLabels: false, // labels are text of the drawing, never HTML
      suppressErrorRendering: true,
      maxTextSize: MAX_CHARACTERS,
      maxEdges: MAX_EDGES,
      fontFamily: "system-ui, sans-serif",
      theme: "base",
      themeVariables: colours(theme === "dark"),
    });
    drawings += 1;
    const { svg } = await window.mermaid.render(`drawing-${drawings}`, source);
    const drawn = document.createRange().createContextualFragment(svg);
    // a link would lead the frame away, not the page
    for (const link of drawn.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    place.replaceChildren(drawn);
  }

  function tellHeight() {
    if (place.firstElementChild) tell({ state: "drawn", height: Math.ceil(document.body.offsetHeight) });
  }

  window.addEventListener("message", async (event) => {
    if (event.source !== window.parent || typeof event.data?.source !== "string") return;
    try {
      await draw(event.data);
      tellHeight();
    } catch {
      tell({ state: "failed" });
    }
  });
  new ResizeObserver(tellHeight).observe(place);
  tell({ state: "ready" });
})();
