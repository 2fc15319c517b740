/* Cleans and parses HTML: the one module that uses DOMPurify, which base.html loads before. trusted-html.js puts
   it in front of every HTML sink. */
const { DOMPurify } = window;

// Fragments of our own templates: forms, htmx attributes and icons stay; styles and scripts do not.
const PAGE = {
  ADD_TAGS: ["use", "selectedcontent"],
  ADD_ATTR: [
    "command",
    "commandfor",
    "popover",
    "popovertarget",
    "popovertargetaction",
    "enterkeyhint",
    "inputmode",
    "autofocus",
    "formaction",
    "formmethod",
    "target",
  ],
  FORBID_TAGS: ["style", "script", "iframe", "object", "embed", "base", "link", "meta"],
  FORBID_ATTR: ["style"],
};

// Formulas, as prompts/mathml.py writes them.
const MATH_TAGS = [
  ...["math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup"],
  ...["munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "mstyle"],
  ...["mpadded", "mphantom"],
];
const MATH_ATTRIBUTES = [
  ...["accent", "accentunder", "depth", "display", "displaystyle", "fence", "form", "height", "largeop"],
  ...["linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "rspace", "scriptlevel"],
  ...["separator", "stretchy", "symmetric", "width"],
];

// What a model writes: text, tables, code, formulas. No forms, no data- or aria- attributes, no pictures.
const PROSE = {
  ALLOWED_TAGS: [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "input",
    "ins",
    "kbd",
    "label",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
    "var",
    ...MATH_TAGS,
  ],
  ALLOWED_ATTR: [
    "align",
    "checked",
    "class",
    "colspan",
    "dir",
    "disabled",
    "href",
    "lang",
    "rel",
    "rowspan",
    "start",
    "target",
    "title",
    "type",
    ...MATH_ATTRIBUTES,
  ],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const CONTROLS = new Set(["INPUT", "SELECT", "TEXTAREA", "BUTTON"]);

DOMPurify.addHook("uponSanitizeAttribute", (node, data, config) => {
  if (config.ALLOW_DATA_ATTR === false) return;
  const name = data.attrName;
  if (name.startsWith("hx-")) {
    data.forceKeepAttr = !name.startsWith("hx-on");
  } else if (name === "name" && CONTROLS.has(node.nodeName)) {
    data.forceKeepAttr = true; // DOMPurify fears name="title"; the server reads our fields by these names
  } else if (name === "href" && node.nodeName.toLowerCase() === "use") {
    data.keepAttr = data.attrValue.startsWith(`${document.body.dataset.icons}#`);
  }
});

DOMPurify.addHook("uponSanitizeElement", (node, data, config) => {
  if (
    config.ALLOW_DATA_ATTR === false &&
    data.tagName === "input" &&
    node.getAttribute("type") !== "checkbox"
  )
    node.remove(); // task lists only
});

/** A fragment of our own templates, cleaned. */
export function cleanPage(html) {
  return html === "" ? html : DOMPurify.sanitize(html, PAGE);
}

/** A piece of a model's answer as nodes. */
export function proseFragment(html) {
  return html ? DOMPurify.sanitize(html, PROSE) : document.createDocumentFragment();
}

/**
 * A page of our own as a document of its own, to take a part from: through the policy like everything else.
 */
export function parsePage(text) {
  return new DOMParser().parseFromString(text, "text/html");
}
