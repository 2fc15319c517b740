"""A graph as GraphML (graphml.graphdrawing.org), which Gephi, yEd and NetworkX read."""

from xml.etree import ElementTree as ET

from rag.graph.shown import Picture, Place

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
# id → (of what, type)
KEYS = {
    "name": ("node", "string"),
    "passages": ("node", "int"),
    "is_title": ("node", "boolean"),
    "weight": ("edge", "int"),
    "document": ("all", "string"),
    "title": ("all", "string"),
    "char_from": ("all", "int"),
    "char_to": ("all", "int"),
}


def write_graphml(picture: Picture) -> bytes:
    """Each node and edge with the place of a passage that proves it."""
    root = ET.Element("graphml", xmlns=NAMESPACE)
    for name, (kind, type_name) in KEYS.items():
        ET.SubElement(root, "key", {"id": name, "for": kind, "attr.name": name, "attr.type": type_name})
    graph = ET.SubElement(root, "graph", id="knowledge", edgedefault="undirected")
    for row in picture.names:
        node = ET.SubElement(graph, "node", id=_id(row.key))
        _fill(
            node, {"name": row.name, "passages": row.count, "is_title": str(row.is_title).lower()}, row.place
        )
    for edge in picture.edges:
        line = ET.SubElement(graph, "edge", source=_id(edge.source), target=_id(edge.target))
        _fill(line, {"weight": edge.weight}, edge.place)
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
    """Without the control characters that no XML holds."""
    return "".join(character for character in text if character >= " " or character in "\t\n")
