"""The way into the jail for documents. What a reader cannot make sense of is a broken file."""

import importlib
from pathlib import Path

from foundation.jail.inside import Refused
from rag.parsing import bounds
from rag.parsing.inside import kinds
from rag.parsing.inside.draft import Draft
from rag.parsing.inside.nesting import NESTED

# kind → module and function: each brings its own library, whose import takes time
READERS = {
    "pdf": "pdf:read_pdf",
    "docx": "word:read_docx",
    "pptx": "slides:read_pptx",
    "xlsx": "sheets:read_xlsx",
    "csv": "tables:read_csv",
    "html": "web:read_html",
    "markdown": "markdown:read_markdown",
    "text": "plain:read_text",
    "eml": "mail:read_mail",
}
_OF_PATHS = ("pdf", "docx", "pptx", "xlsx")


def read(files: dict[str, Path], name: str, declared_type: str) -> bytes:
    """A packed document (rag.parsing.result). Raises Refused."""
    path = files["document"]
    draft = Draft()
    kind = kinds.find_kind(path, name=name, declared_type=declared_type)
    draft.say("kind", kind)
    if kind == "picture":
        pictures = importlib.import_module("rag.parsing.inside.pictures")
        draft.page_count = min(pictures.count_pages(path), bounds.MOST_PAGES)
        draft.scanned_pages = list(range(1, draft.page_count + 1))
        return draft.pack()
    module, _, function = READERS[kind].partition(":")
    reader = getattr(importlib.import_module(f"rag.parsing.inside.{module}"), function)
    try:
        reader(draft, path if kind in _OF_PATHS else path.read_bytes())
    except (Refused, MemoryError, OSError):
        raise
    except RecursionError:
        raise Refused(NESTED)
    except Exception as exc:  # whatever a library says of a file that it cannot read
        raise Refused(NESTED if "excessive depth" in str(exc).lower() else kinds.BROKEN)
    if draft.is_empty and not draft.scanned_pages:
        raise Refused(kinds.EMPTY)
    return draft.pack()
