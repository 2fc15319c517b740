"""Files that only this user may read, written whole or not at all."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """The file's JSON object; empty when the file is missing or not a whole object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace the file, mode 0600. A reader sees the old text or the new, never a part."""
    _write_draft(path, value).replace(path)


def write_json_once(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Write the file, durably, unless it exists; the content that stands there afterwards. Two processes at
    once agree.
    """
    if not path.exists():
        draft = _write_draft(path, value, is_precious=True)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike rename, this fails when somebody else was first
        draft.unlink()
    return read_json(path)


def _write_draft(path: Path, value: dict[str, Any], *, is_precious: bool = False) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=1)
        if is_precious:  # the only copy of a master key must outlive a power cut
            file.flush()
            os.fsync(file.fileno())
    return draft
