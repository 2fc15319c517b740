"""What stands in a document of a stranger: read in the jail, by its content and whatever its name says.

Guards against: what `foundation.jail.run` guards against; archives, pages, texts and attachments beyond the
bounds; results of another shape. Does not cover: that what a document says is true, or meant for people.
"""

from pathlib import Path

from foundation.errors import InvalidInput
from foundation.jail.limits import Limits
from foundation.jail.run import CRASHED, UNREADABLE, JailError, run_jailed
from foundation.told import gettext as _
from rag.parsing import bounds
from rag.parsing.result import Parsed, Unshaped, unpack

READ = "rag.parsing.inside.entry:read"
LIMITS = Limits(
    wall_s=120,
    cpu_s=100,
    memory_bytes=1_500 * bounds.MEGABYTE,
    disk_bytes=50 * bounds.MEGABYTE,
    output_bytes=150 * bounds.MEGABYTE,
)
ENCRYPTED, EMPTY, BROKEN = "document_encrypted", "document_empty", "document_broken"
UNKNOWN, TOO_LARGE, SCANNED = "document_type", "document_too_large", "document_scanned"


def parse(content: Path | bytes, *, name: str, declared_type: str = "") -> Parsed:
    """What was found, its blocks in their order. Raises InvalidInput with one of the codes above, or
    Unavailable.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > bounds.MOST_BYTES:
        raise _refusal(TOO_LARGE)
    arguments = {"name": name[-255:], "declared_type": declared_type[:127]}
    try:
        result = run_jailed(READ, files={"document": content}, arguments=arguments, limits=LIMITS)
        parsed = unpack(result)
    except JailError as exc:
        raise _explain(exc) from exc
    except Unshaped as exc:
        raise _refusal(BROKEN) from exc
    return parsed


def _explain(error: JailError) -> InvalidInput:
    if error.code in (CRASHED, UNREADABLE):
        return _refusal(BROKEN)
    if error.code in (ENCRYPTED, EMPTY, BROKEN, UNKNOWN, TOO_LARGE):
        return _refusal(error.code)
    return InvalidInput(error.message, code=TOO_LARGE)


def _refusal(code: str) -> InvalidInput:
    texts = {
        ENCRYPTED: _("The file is protected by a password. Save it without one and add it again."),
        EMPTY: _("There is no text in the file."),
        BROKEN: _(
            "The file is damaged and cannot be read. Save it again in the program that it was made with, "
            "then add it again."
        ),
        UNKNOWN: _(
            "Files of this kind cannot be read. Save it as PDF, Word (.docx), PowerPoint (.pptx), "
            "Excel (.xlsx), CSV, HTML, Markdown, text or e-mail (.eml) and add it again."
        ),
        TOO_LARGE: _(
            "The file holds more than can be read at once: at most %(size)d MB, %(pages)d pages and "
            "%(characters)d million characters. Divide it and add its parts."
        )
        % {
            "size": bounds.MOST_BYTES // bounds.MEGABYTE,
            "pages": bounds.MOST_PAGES,
            "characters": bounds.MOST_CHARACTERS // bounds.MEGABYTE,
        },
        SCANNED: _(
            "The pages of the file are pictures, and no text could be recognised in them. Add it with a "
            "text layer."
        ),
    }
    return InvalidInput(texts[code], code=code)
