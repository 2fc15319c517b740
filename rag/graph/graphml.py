"""A graph as GraphML (graphml.graphdrawing.org), which Gephi, yEd and NetworkX read."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from rag.graph.shown import Picture, Place, Statement

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
# id → (of what, type)
KEYS = {
    "name": ("node", "string"),
    "passages": ("node", "int"),
    "is_title": ("node", "boolean"),
    "kind": ("node", "string"),
    "predicate": ("edge", "string"),
    "evidence": ("edge", "string"),
    "weight": ("edge", "int"),
    "document": ("all", "string"),
    "title": ("all", "string"),
    "char_from": ("all", "int"),
    "char_to": ("all", "int"),
}


def write_graphml(picture: Picture, statements: Sequence[Statement] = ()) -> bytes:
    """Each node and edge with the place of a passage that proves it. What a model read are directed edges,
    with their predicate and its excerpt.
    """
    root = ET.Element("graphml", xmlns=NAMESPACE)
    for name, (kind, type_name) in KEYS.items():
        ET.SubElement(root, "key", {"id": name, "for": kind, "attr.name": name, "attr.type": type_name})
    graph = ET.SubElement(root, "graph", id="knowledge", edgedefault="undirected")
    for row in picture.names:
        node = ET.SubElement(graph, "node", id=_id(row.key))
        about = {"name": row.name, "passages": row.count, "is_title": str(row.is_title).lower()}
        _fill(node, about | ({"kind": row.kind} if row.kind else {}), row.place)
    for edge in picture.edges:
        line = ET.SubElement(graph, "edge", source=_id(edge.source), target=_id(edge.target))
        _fill(line, {"weight": edge.weight}, edge.place)
    known = {row.key for row in picture.names}
    for one in statements:
        if one.source in known and one.target in known:
            ends = {"source": _id(one.source), "target": _id(one.target), "directed": "true"}
            line = ET.SubElement(graph, "edge", ends)
            _fill(line, {"predicate": one.predicate, "evidence": one.evidence}, one.place)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _id(key: int) -> str:
    return f"n{key & (2**64 - 1):x}"


def _fill(element: ET.Element, values: dict[str, object], place: Place) -> None:
    where = {
        "document": place.document_id,
        "title": place.title,
        "char_from": place.char_from,
        "char_to": place.char_to,
    }
    for name, value in {**values, **where}.items():
        ET.SubElement(element, "data", key=name).text = _as_xml(str(value))


def _as_xml(text: str) -> str:
    """Without the characters that no XML holds (1.0, 2.2)."""
    return _NO_XML.sub("", text)
