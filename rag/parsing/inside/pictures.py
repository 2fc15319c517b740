"""Pages as pictures: grey and large for a program that recognises letters, bounded for a model that sees."""

import io
import json
from math import sqrt
from pathlib import Path

from PIL import Image, ImageOps

from foundation.jail.inside import Refused
from rag.parsing.inside.draft import TOO_LARGE
from rag.parsing.inside.pdf import BROKEN, open_pdf

_PIXELS_OF_A_POINT = 300 / 72
_MOST_PIXELS = 20_000_000
_LONGEST_SIDE = 2_000  # pixels of what a model gets; larger ones are made smaller by its server
_JPEG_QUALITY = 85
_MOST_PIXELS_OF_A_FILE = 80_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
Image.MAX_IMAGE_PIXELS = None  # ours is asked for


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


def draw(files: dict[str, Path], page: int, is_picture: bool) -> bytes:
    """A page of a PDF, or of a picture's file, as a JPEG of at most _LONGEST_SIDE pixels. Raises Refused."""
    picture = _open_picture(files["document"], page) if is_picture else _draw_page(files["document"], page)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=_JPEG_QUALITY)
    return written.getvalue()


def count_pages(path: Path) -> int:
    """Of a picture's file: a TIFF may hold several; frames of a film are none."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    except Exception:
        return 1  # whoever reads it will say what is wrong


def _draw_page(path: Path, page: int) -> Image.Image:
    document = open_pdf(path)
    if not 1 <= page <= len(document):
        raise Refused(BROKEN)
    shown = document[page - 1]
    scale = min(_PIXELS_OF_A_POINT, _LONGEST_SIDE / max(*shown.get_size(), 1.0))
    return shown.render(scale=scale).to_pil().convert("RGB")


def _open_picture(path: Path, page: int) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            picture.seek(page - 1)  # of a TIFF each page has a size of its own
            if picture.width * picture.height > _MOST_PIXELS_OF_A_FILE:
                raise Refused(TOO_LARGE)
            upright = ImageOps.exif_transpose(picture)
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        seen = upright.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(paper, seen).convert("RGB")
    except (Refused, MemoryError):
        raise
    except Exception as exc:  # whatever the library says of a file that it cannot read
        raise Refused(BROKEN) from exc
