"""From the pieces of text on a page to its rows in the order in which people read: columns one after the
other, what stands across them in between.

Columns are told from the cells of a table by this: several lines begin at one place, others beside them end
before it, and those of both sides are mostly full.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rag.parsing.inside.draft import Box

_NEAR = 3.0  # points
_LEAST_LINES = 3
_LEAST_FILL = 0.55
_LEAST_LETTERS = 12
_MOST_PLACES = 12
_wide = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text without a gap. `size`: of its letters, in points, as is the box."""

    text: str
    box: Box
    size: float
    is_bold: bool = False

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2

    @property
    def letters(self) -> int:
        """An ideograph counts as two."""
        return len(self.text) + len(_wide.findall(self.text))


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces side by side, from the left."""

    pieces: tuple[Piece, ...]
    text: str
    box: Box
    size: float
    is_bold: bool


def surround(boxes: Sequence[Box]) -> Box:
    if len(boxes) == 1:
        return boxes[0]
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return min(lefts), min(bottoms), max(rights), max(tops)


def arrange(pieces: Sequence[Piece], depth: int = 0) -> list[list[Row]]:
    """The page's columns, and what stands before, between and after them, each with its rows from the top."""
    if not pieces:
        return []
    for place in _places(pieces) if depth < 4 else []:
        bands = [part for band in _bands(pieces, place) for part in _divide(band)]
        if any(_is_columns(*band) for _across, *band in bands):
            return _one_after_the_other(bands, depth)
    return [_rows(pieces)]


def _places(pieces: Sequence[Piece]) -> list[float]:
    """Where columns may begin: where several pieces do, the most first."""
    begins = Counter(round(piece.box[0]) for piece in pieces)
    near = {place: sum(begins[place + off] for off in (-2, -1, 0, 1, 2)) for place in begins}
    often = [place for place, count in near.items() if count >= _LEAST_LINES]
    return [float(place) for place in sorted(often, key=lambda place: (-near[place], place))[:_MOST_PLACES]]


Band = tuple[list[Piece], list[Piece], list[Piece]]


def _bands(pieces: Sequence[Piece], place: float) -> list[Band]:
    """From the top: what stands across the place, then what stands left and right of it."""
    bands: list[Band] = [([], [], [])]
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        across, left, right = bands[-1]
        if piece.box[0] >= place - _NEAR:
            right.append(piece)
        elif piece.box[2] <= place + 1:
            left.append(piece)
        elif left or right:
            bands.append(([piece], [], []))
        else:
            across.append(piece)
    return bands


def _divide(band: Band) -> list[Band]:
    """What stands above or below where both sides do, a line's height away from them, apart."""
    across, left, right = band
    if not left or not right:
        return [band]
    top = min(max(one.box[3] for one in side) for side in (left, right))
    bottom = max(min(one.box[1] for one in side) for side in (left, right))
    above = _apart([*left, *right], top, is_above=True)
    below = _apart([*left, *right], bottom, is_above=False)
    inner = [[one for one in side if one not in above and one not in below] for side in (left, right)]
    return [([*across, *above], [], []), ([], inner[0], inner[1]), (below, [], [])]


def _apart(pieces: list[Piece], edge: float, *, is_above: bool) -> list[Piece]:
    """Those beyond the edge, unless they go on from what stands at it."""
    if is_above:
        outside = [one for one in pieces if one.box[1] >= edge - _NEAR]
        distance = min((one.box[1] - edge for one in outside), default=0.0)
    else:
        outside = [one for one in pieces if one.box[3] <= edge + _NEAR]
        distance = min((edge - one.box[3] for one in outside), default=0.0)
    return outside if outside and distance > 0.6 * median(one.size for one in pieces) else []


def _is_columns(left: list[Piece], right: list[Piece]) -> bool:
    if min(len(left), len(right)) < _LEAST_LINES:
        return False
    ours, theirs = surround([one.box for one in left]), surround([one.box for one in right])
    shared = min(ours[3], theirs[3]) - max(ours[1], theirs[1])
    if shared < 0.5 * min(ours[3] - ours[1], theirs[3] - theirs[1]):
        return False
    return _is_full(left, ours) and _is_full(right, theirs)


def _is_full(side: list[Piece], box: Box) -> bool:
    width = median(one.box[2] - one.box[0] for one in side)
    return width >= _LEAST_FILL * (box[2] - box[0]) and median(one.letters for one in side) >= _LEAST_LETTERS


def _one_after_the_other(bands: list[Band], depth: int) -> list[list[Row]]:
    found: list[list[Row]] = []
    plain: list[Piece] = []
    for across, left, right in bands:
        plain += across
        if not _is_columns(left, right):
            plain += left + right
            continue
        found += [*([_rows(plain)] if plain else []), *arrange(left, depth + 1), *arrange(right, depth + 1)]
        plain = []
    return [*found, *([_rows(plain)] if plain else [])]


def _rows(pieces: Sequence[Piece]) -> list[Row]:
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        beside = rows[-1][0] if rows else None
        height = piece.box[3] - piece.box[1]
        if beside is not None and abs(beside.middle - piece.middle) < 0.4 * max(
            height, beside.box[3] - beside.box[1]
        ):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_row(sorted(row, key=lambda piece: piece.box[0])) for row in rows]


def _row(pieces: list[Piece]) -> Row:
    return Row(
        tuple(pieces),
        " ".join(piece.text for piece in pieces),
        surround([piece.box for piece in pieces]),
        max(piece.size for piece in pieces),
        all(piece.is_bold for piece in pieces),
    )
