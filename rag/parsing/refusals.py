"""Why a file is not read, in the words that whoever brought it reads."""

from foundation.errors import InvalidInput
from foundation.jail.run import CRASHED, TIMED_OUT, UNREADABLE, JailError
from foundation.told import gettext as _
from rag.parsing import bounds
from rag.parsing.ocr import find_recogniser

ENCRYPTED, EMPTY, BROKEN = "document_encrypted", "document_empty", "document_broken"
UNKNOWN, TOO_LARGE, SCANNED = "document_type", "document_too_large", "document_scanned"
ARCHIVE, ENTRIES, UNPACKED = "document_archive", "document_entries", "document_unpacked"
CONTROLS, CELLS, NESTED = "document_controls", "document_cells", "document_nested"
SLOW, FORMULAS = "document_slow", "document_formulas"


def explain(error: JailError) -> InvalidInput:
    if error.code in (CRASHED, UNREADABLE):
        return refusal(BROKEN)
    if error.code == TIMED_OUT:
        return refusal(SLOW)
    if error.code.startswith("document_") and error.code in _list_texts():
        return refusal(error.code)
    return InvalidInput(error.message, code=TOO_LARGE)


def refusal(code: str) -> InvalidInput:
    return InvalidInput(_list_texts()[code], code=code)


def _list_texts() -> dict[str, str]:
    return _list_texts_of_kinds() | _list_texts_of_sizes()


def _list_texts_of_kinds() -> dict[str, str]:
    """Of files that nobody here could read."""
    return {
        ARCHIVE: _(
            "The file is an archive, which is not unpacked here. Unpack it, and add the files that are in it."
        ),
        CONTROLS: _(
            "The file is called a text but is full of control characters, as other kinds of files are. Save "
            "it as text in UTF-8 and add it again."
        ),
        ENCRYPTED: _("The file is protected by a password. Save it without one and add it again."),
        EMPTY: _("There is no text in the file."),
        FORMULAS: _(
            "The file holds only formulas, and the program that made it did not calculate them. Open it in "
            "a spreadsheet program, save it, and add it again."
        ),
        BROKEN: _(
            "The file is damaged and cannot be read. Save it again in the program that it was made with, "
            "then add it again."
        ),
        UNKNOWN: _(
            "Files of this kind cannot be read. Save it as PDF, Word (.docx), PowerPoint (.pptx), "
            "Excel (.xlsx), CSV, HTML, Markdown, text or e-mail (.eml) and add it again."
        ),
        SCANNED: _("The pages of the file are pictures, and no text could be recognised in them.")
        if find_recogniser()
        else _(
            "The pages of the file are pictures, and this installation has no text recognition. Add the file "
            "with a text layer, or choose a vision model in the settings of the collection and try again."
        ),
    }


def _list_texts_of_sizes() -> dict[str, str]:
    """Of files that hold too much."""
    return {
        ENTRIES: _(
            "The file consists of more than %(count)d parts, which no office program writes. Save it again "
            "in the program that it was made with, then add it again."
        )
        % {"count": bounds.MOST_ENTRIES},
        UNPACKED: _("The file is packed, and unpacks to more than %(size)d MB. Divide it and add its parts.")
        % {"size": bounds.MOST_UNPACKED_BYTES // bounds.MEGABYTE},
        CELLS: _(
            "The table is larger than can be read at once: at most %(columns)d columns and %(cells)d million "
            "cells, the empty ones included. Divide it and add its parts."
        )
        % {"columns": bounds.MOST_COLUMNS, "cells": bounds.MOST_CELLS // bounds.MEGABYTE},
        NESTED: _(
            "What stands in the file is nested deeper than can be read. Save its text alone, and add that."
        ),
        SLOW: _(
            "Reading the file took far longer than a file of its size takes, and was stopped. Divide it, or "
            "save its text alone, and add that."
        ),
        TOO_LARGE: _(
            "The file holds more than can be read at once: at most %(size)d MB, %(pages)d pages and "
            "%(characters)d million characters. Divide it and add its parts."
        )
        % {
            "size": bounds.MOST_BYTES // bounds.MEGABYTE,
            "pages": bounds.MOST_PAGES,
            "characters": bounds.MOST_CHARACTERS // 1_000_000,
        },
    }
