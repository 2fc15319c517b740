"""PowerPoint: a slide is a page; its title, what stands on it, tables, charts and the speaker's notes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation

from foundation.jail.inside import Refused
from rag.parsing import bounds
from rag.parsing.inside.draft import TOO_LARGE, Box, Draft
from rag.parsing.inside.sheets import show

_EMU_OF_A_POINT = 12_700
_DEEPEST_GROUP = 8


def read_pptx(draft: Draft, path: Path) -> None:
    show = Presentation(str(path))
    draft.title = show.core_properties.title or ""
    draft.say("author", show.core_properties.author)
    draft.page_count = len(show.slides)
    if draft.page_count > bounds.MOST_PAGES:
        raise Refused(TOO_LARGE)
    draft.page_count = draft.page_count or None
    for number, slide in enumerate(show.slides, 1):
        _read_slide(draft, slide, number, show.slide_height or 0)


def _read_slide(draft: Draft, slide: Any, number: int, height: int) -> None:
    draft.begin_again()
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        draft.heading(title.text_frame.text, 1, page=number, box=_box(title, height))
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        box = _box(shape, height)
        if shape.has_text_frame:
            draft.paragraph(_lines(shape.text_frame.paragraphs), page=number, box=box)
        elif getattr(shape, "has_table", False) and shape.has_table:
            rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
            draft.table(rows, page=number, box=box)
        elif getattr(shape, "has_chart", False) and shape.has_chart:
            _read_chart(draft, shape, number, box)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        draft.paragraph(slide.notes_slide.notes_text_frame.text.replace("\v", "\n"), page=number)


def _read_chart(draft: Draft, shape: Any, number: int, box: Box | None) -> None:
    """Its title, and what it shows as a table: a column for each series."""
    try:
        chart = shape.chart
        is_called = chart.has_title and chart.chart_title.has_text_frame
        title = chart.chart_title.text_frame.text if is_called else ""
        tables = [_rows_of(plot) for plot in chart.plots]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return  # one of a kind that the library does not know; the slide is read without it
    draft.paragraph(title, page=number, box=box)
    for rows in tables:
        draft.table(rows, page=number, box=box)


def _rows_of(plot: Any) -> list[list[str]]:
    series = [(one.name, list(one.values)) for one in plot.series]
    rows = [["", *(name for name, _values in series)]]
    for at, category in enumerate(plot.categories):
        values = [values[at] if at < len(values) else None for _name, values in series]
        rows.append([str(category), *(show(value) for value in values)])
    return rows


def _shapes(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """From the top to the bottom, those in groups too."""
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        if hasattr(shape, "shapes") and depth < _DEEPEST_GROUP:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _lines(paragraphs: Iterable[Any]) -> str:
    return "\n".join(
        "  " * paragraph.level + paragraph.text.replace("\v", "\n")
        for paragraph in paragraphs
        if paragraph.text.strip()
    )


def _box(shape: Any, height: int) -> Box | None:
    """In points, from the lower left as a PDF counts; None of what takes its place from its layout."""
    places = (shape.left, shape.top, shape.width, shape.height)
    if any(place is None for place in places):
        return None
    left, top, wide, high = (place / _EMU_OF_A_POINT for place in places)
    bottom = height / _EMU_OF_A_POINT - top - high
    return (left, bottom, left + wide, bottom + high)
