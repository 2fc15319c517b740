"""What a page leaves without a name or points to in vain, as its HTML tells. What only a browser sees,
colours and what is hidden, is looked at by axe-core in test_faces.py.
"""

from selectolax.lexbor import LexborHTMLParser, LexborNode

FIELDS = "input:not([type=hidden]):not([type=submit]):not([type=button]), select, textarea"
PRESSED = "button, a[href]:not([href='#']), summary"
POINTERS = ("aria-labelledby", "commandfor", "popovertarget", "form", "list")


def find_nameless(page: str) -> list[str]:
    """Fields without a label, buttons and links without a name, images without a text, ids that two have or
    that nobody has.
    """
    tree = LexborHTMLParser(page)
    ids = [node.attributes["id"] or "" for node in tree.css("[id]")]
    labelled = {node.attributes["for"] for node in tree.css("label[for]")}
    found = [f"two have the id {name}" for name in sorted({name for name in ids if ids.count(name) > 1})]
    found += [_said(node) for node in tree.css(FIELDS) if not _has_label(node, labelled)]
    found += [_said(node) for node in tree.css(PRESSED) if not _has_name(node)]
    found += [_said(node) for node in tree.css("img:not([alt])")]
    for pointer in POINTERS:
        for node in tree.css(f"[{pointer}]"):
            missing = set((node.attributes[pointer] or "").split()) - set(ids)
            found += [f"{pointer} to {', '.join(missing)}"] if missing else []
    return found


def _has_label(node: LexborNode, labelled: set[str | None]) -> bool:
    if node.attributes.get("id") in labelled or _is_named(node):
        return True
    while node := node.parent:
        if node.tag == "label" or "data-label" in node.attributes:  # cells, which a script names
            return True
    return False


def _has_name(node: LexborNode) -> bool:
    return bool(node.text().strip()) or _is_named(node) or any(map(_is_named, node.css("*")))


def _is_named(node: LexborNode) -> bool:
    given = node.attributes
    names = ("aria-label", "aria-labelledby", ":aria-label", "placeholder", "x-text", "title", "alt")
    is_copied_by_a_script = "__prefix__" in (given.get("name") or "")
    return (
        any((given.get(name) or "").strip() for name in names) or is_copied_by_a_script or "hidden" in given
    )


def _said(node: LexborNode) -> str:
    return (node.html or "")[:120]
