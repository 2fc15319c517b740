"""Pages as pictures, for a program that recognises letters."""

import json
from math import sqrt
from pathlib import Path

from foundation.jail.inside import Refused
from rag.parsing.inside.pdf import BROKEN, open_pdf

_PIXELS_OF_A_POINT = 300 / 72
_MOST_PIXELS = 20_000_000


def render(files: dict[str, Path], page: int) -> bytes:
    """A line of JSON (left and top of the page in points, pixels of a point), then the page as a grey PGM.
    Raises Refused.
    """
    document = open_pdf(files["document"])
    if not 1 <= page <= len(document):
        raise Refused(BROKEN)
    shown = document[page - 1]
    wide, high = shown.get_size()
    scale = min(_PIXELS_OF_A_POINT, sqrt(_MOST_PIXELS / max(wide * high, 1.0)))
    picture = shown.render(scale=scale, grayscale=True, prefer_bgrx=False)
    left, _bottom, _right, top = shown.get_bbox()
    rows = bytes(picture.buffer)
    if picture.stride != picture.width:
        rows = b"".join(
            rows[at : at + picture.width] for at in range(0, picture.stride * picture.height, picture.stride)
        )
    head = {"left": left, "top": top, "scale": scale if not shown.get_rotation() else 0}
    return json.dumps(head).encode() + b"\nP5 %d %d 255\n" % (picture.width, picture.height) + rows
