r"""TeX into MathML, which browsers set and screen readers read.

Covers: what `latex2mathml` understands. Its tree is written out here by an allow-list: no addresses, no
annotations, no styles, lengths within bounds (a formula must not lie over other text); letters of other
alphabets as letters, since browsers know no `mathvariant` any more. Does not cover: definitions (`\def`,
`\newcommand`), which could make much of little. What is not understood stays TeX.
"""

import re
from html import escape, unescape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

MAX_TEX_CHARS = 2_000
MAX_DEPTH = 40  # of groups in TeX: beyond that nobody reads it
MAX_ELEMENTS = 4_000
MAX_LENGTH_EM = 4
_FLAGS = frozenset({"true", "false"})
_WORDS = {
    "display": {"block", "inline"},
    "mathvariant": {"normal"},
    "form": {"prefix", "infix", "postfix"},
    "scriptlevel": {"0", "1", "2", "3"},
    **dict.fromkeys(
        (
            "stretchy", "fence", "separator", "symmetric", "largeop", "movablelimits", "accent",
            "accentunder", "displaystyle",
        ),
        _FLAGS,
    ),
}  # fmt: skip
_LENGTHS = {"width", "height", "depth", "minsize", "maxsize", "linethickness", "lspace", "rspace"}
_OPERATOR = {
    "stretchy", "fence", "separator", "symmetric", "largeop", "movablelimits", "accent", "form", "minsize",
    "maxsize", "lspace", "rspace",
}  # fmt: skip
MATH = {  # element → its attributes
    "math": {"display", "class"},
    "mrow": {"class"},
    "mi": {"mathvariant"},
    "mn": set(),
    "mo": _OPERATOR,
    "mtext": {"class"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
    "msqrt": set(),
    "mroot": set(),
    "msub": set(),
    "msup": set(),
    "msubsup": set(),
    "munder": {"accentunder"},
    "mover": {"accent"},
    "munderover": {"accent", "accentunder"},
    "mmultiscripts": set(),
    "mprescripts": set(),
    "mtable": {"displaystyle"},
    "mtr": set(),
    "mtd": {"class"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mpadded": {"width", "height", "depth"},
    "mphantom": set(),
}
# environment → the one that the library knows; others stay TeX
ENVIRONMENTS = {
    **{
        name: name
        for name in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix")
    },
    **dict.fromkeys(("align", "align*", "aligned", "alignat", "alignat*", "alignedat", "flalign"), "align*"),
    **dict.fromkeys(("gather", "gather*", "gathered", "multline", "multline*"), "matrix"),
    **dict.fromkeys(("equation", "equation*", "displaymath"), ""),
    **{"array": "array", "split": "split", "cases": "cases", "dcases": "cases", "eqnarray": "eqnarray"},
}
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([a-zA-Z]+\*?)\}(\{\d\})?")
# what stands below such a word in a block: the limit
_WITH_LIMITS = frozenset(
    {"lim", "max", "min", "sup", "inf", "lim sup", "lim inf", "limsup", "liminf", "argmax", "argmin"}
)
_BELOW = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_OPERATORS = frozenset("≤≥≠≈≡∼≃≅∈∉∋⊂⊃⊆⊇∪∩∧∨→←↔⇒⇐⇔↦⟹⟺⟸⟶⟵⟷±∓×÷∘⊕⊗∣∥⊥∝≪≫")
_BRACKETS = frozenset("⟨⟩⌈⌉⌊⌋")
_ACCENTS = frozenset("^~¯→˙¨―ˇ˘´`")
_LENGTH = re.compile(r"(-?\d{0,2}(?:\.\d{1,4})?)(em|ex|px|pt|mu|%)?")
_EM = {"em": 1, "ex": 0.5, "px": 1 / 16, "pt": 1 / 12, "mu": 1 / 18, "%": 1 / 100, None: 1}
_DEFINITIONS = re.compile(
    r"\\(?:[egx]?def|let|(?:re)?newcommand|providecommand|newenvironment|href|require)\b"
)
# the first capital, small letter and digit of each alphabet
_ALPHABETS = {
    "bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "italic": (0x1D434, 0x1D44E, 0),
    "bold-italic": (0x1D468, 0x1D482, 0),
    "script": (0x1D49C, 0x1D4B6, 0),
    "bold-script": (0x1D4D0, 0x1D4EA, 0),
    "fraktur": (0x1D504, 0x1D51E, 0),
    "bold-fraktur": (0x1D56C, 0x1D586, 0),
    "double-struck": (0x1D538, 0x1D552, 0x1D7D8),
    "sans-serif": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "monospace": (0x1D670, 0x1D68A, 0x1D7F6),
}
# letters that Unicode had before it got these alphabets
_EARLIER = dict(
    zip(
        (
            0x1D455, 0x1D49D, 0x1D4A0, 0x1D4A1, 0x1D4A3, 0x1D4A4, 0x1D4A7, 0x1D4A8, 0x1D4AD, 0x1D4BA, 0x1D4BC,
            0x1D4C4, 0x1D506, 0x1D50B, 0x1D50C, 0x1D515, 0x1D51D, 0x1D53A, 0x1D53F, 0x1D545, 0x1D547, 0x1D548,
            0x1D549, 0x1D551,
        ),
        "ℎℬℰℱℋℐℒℳℛℯℊℴℭℌℑℜℨℂℍℕℙℚℝℤ",
        strict=True,
    )
)  # fmt: skip


def make_mathml(tex: str, *, is_block: bool) -> str | None:
    """The formula as an element `math`; None where it is too long, too deep or not understood."""
    if not tex or len(tex) > MAX_TEX_CHARS or _DEFINITIONS.search(tex) or _depth(tex) > MAX_DEPTH:
        return None
    try:
        tree = convert_to_element(_prepare(tex), display="block" if is_block else "inline")
        pieces: list[str] = []
        _write(tree, pieces)
    except (
        Exception
    ):  # the library's own errors, and those it runs into: IndexError, TypeError, StopIteration
        return None
    return "".join(pieces)


def _depth(tex: str) -> int:
    """How deep groups lie in each other, at most; scripts of scripts count too."""
    depth = deepest = 0
    for opening in re.findall(r"\\\\|\\[{}]|\\(?:begin|left)\b|\\(?:end|right)\b|[{}^_]|\s", tex):
        if opening in ("{", r"\begin", r"\left"):
            depth += 1
        elif opening in ("}", r"\end", r"\right"):
            depth -= 1
        deepest = max(deepest, depth)
    return deepest


def _prepare(tex: str) -> str:
    """The same with environments that the library knows."""
    tex = _ENVIRONMENT.sub(_known_environment, tex)
    if r"\\" in tex and r"\begin" not in tex:  # lines without an environment
        name = "align*" if "&" in tex else "matrix"
        tex = rf"\begin{{{name}}}{tex}\end{{{name}}}"
    return re.sub(r"&\s*(?=\\end\{)", "&{}", tex)  # else the library leaves the last row out


def _known_environment(found: re.Match[str]) -> str:
    name = ENVIRONMENTS.get(found[2])
    if name is None:
        raise _NotUnderstoodError(found[2])
    if name == "eqnarray":
        return r"\begin{array}{rcl}" if found[1] == "begin" else r"\end{array}"
    argument = "" if name == "align*" else found[3] or ""
    return rf"\{found[1]}{{{name}}}{argument}" if name else ""


class _NotUnderstoodError(Exception):
    """Something that would be shown as TeX inside the formula."""


def _write(element: Element, pieces: list[str]) -> None:
    text = unescape(element.text or "")
    tag = _tag_of(element, text)
    if len(pieces) > MAX_ELEMENTS or (text.startswith("\\") and len(text) > 1 and tag != "mtext"):
        raise _NotUnderstoodError(text)
    letters = _letters(text, element.get("mathvariant", ""), tag)
    pieces.append(f"<{tag}{_attributes(element, tag, text)}>{escape(letters)}")
    for child in element:
        _write(child, pieces)
    pieces.append(f"</{tag}>")


def _tag_of(element: Element, text: str) -> str:
    """The element's name, where it is one of ours; better ones for some."""
    base = unescape(element[0].text or "") if len(element) else ""
    if element.tag == "mi" and text in _OPERATORS | _BRACKETS:
        return "mo"
    if base in _WITH_LIMITS and element.tag in _BELOW:
        return _BELOW[element.tag]
    if element.tag == "menclose" and element.get("notation") != "box":
        raise _NotUnderstoodError(element.get("notation"))  # what is struck out must not look as if it held
    return element.tag if element.tag in MATH else "mrow"


def _attributes(element: Element, tag: str, text: str) -> str:
    said = {
        name: value for name, value in element.attrib.items() if name in MATH[tag] and _is_fit(name, value)
    }
    if tag == "mtd" and element.get("columnalign") in ("left", "right"):
        said["class"] = f"math-{element.get('columnalign')}"
    elif tag == "mtext" and "bold" in element.get("mathvariant", ""):
        said["class"] = "math-bold"
    elif element.tag == "menclose":
        said["class"] = "math-box"
    elif text in _BRACKETS:
        said.setdefault("stretchy", "false")
    elif tag == "mover" and len(element) == 2 and unescape(element[1].text or "") in _ACCENTS:
        said["accent"] = "true"
    return "".join(f' {name}="{escape(value)}"' for name, value in said.items())


def _is_fit(name: str, value: str) -> bool:
    if name not in _LENGTHS:
        return value in _WORDS.get(name, ())
    found = _LENGTH.fullmatch(value.strip())
    if found is None or found[1] in ("", "-"):
        return False
    return abs(float(found[1])) * _EM[found[2]] <= MAX_LENGTH_EM


def _letters(text: str, variant: str, tag: str) -> str:
    """The same in another alphabet. Running text stays what it is."""
    if variant not in _ALPHABETS or tag == "mtext":
        return text
    capital, small, digit = _ALPHABETS[variant]
    return "".join(_letter(char, capital, small, digit) for char in text)


def _letter(char: str, capital: int, small: int, digit: int) -> str:
    for first, last, start in (("A", "Z", capital), ("a", "z", small), ("0", "9", digit)):
        if first <= char <= last and start:
            code = start + ord(char) - ord(first)
            return _EARLIER.get(code, chr(code))
    return char
