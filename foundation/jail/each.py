"""Several files read in one jail, one after the other, each by a process of its own.

The jail's first process imports what reads them and looks at no byte of a stranger: for each file it makes a
copy of itself, and that one builds the walls around itself and reads. So a file costs milliseconds instead of
a start of Python, has its limits to itself, and changes nothing in how the next one is read; what goes wrong
with one ends with it. Does not cover: kernels without Landlock, where a reader sees the files beside its own.
"""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.jail import run
from foundation.jail.folders import bring_in, open_folder, remove
from foundation.jail.inside import HEAD
from foundation.jail.limits import Limits


@dataclass(frozen=True, slots=True)
class Item:
    files: Mapping[str, Path | bytes]
    arguments: Mapping[str, Any]


def run_jailed_each(
    function: str, items: Sequence[Item], *, limits: Limits, imports: Sequence[str] = ()
) -> Iterator[bytes | run.JailError]:
    """For each item in its order what `run_jailed` gives or raises. `limits` are those of one item;
    `imports`: modules that the function is going to need. Raises Unavailable where the jail does not start.
    """
    given = 0
    while given < len(items):
        for outcome in _run(function, items[given:], limits, imports):
            yield outcome
            given += 1


def _run(
    function: str, items: Sequence[Item], limits: Limits, imports: Sequence[str]
) -> Iterator[bytes | run.JailError]:
    """Up to the first one that had to be ended from outside."""
    with open_folder() as folder:
        orders = [_bring(folder, str(number), item) for number, item in enumerate(items)]
        order = {
            "function": function,
            "imports": list(imports),
            "most_bytes": limits.output_bytes,
            "walls": run.describe_walls(run.list_readable(), [], limits),
            "each": orders,
        }
        readable = [*run.list_readable(), str(folder / "in")]
        process = run.start(folder, readable, json.dumps(order).encode())
        try:
            for one in orders:
                outcome, goes_on = _listen(process, Path(one["out"]), limits)
                yield outcome
                if not goes_on:
                    return
                remove(Path(one["out"]))
        finally:
            run.end(process)


def _bring(folder: Path, name: str, item: Item) -> dict[str, Any]:
    """What is said of it inside."""
    for place in ("in", "out"):
        (folder / place / name).mkdir()
    paths = bring_in(folder / "in" / name, item.files)
    return {
        "in": str(folder / "in" / name),
        "out": str(folder / "out" / name),
        "files": {name: str(path) for name, path in paths.items()},
        "arguments": dict(item.arguments),
    }


def _listen(
    process: subprocess.Popen[bytes], out: Path, limits: Limits
) -> tuple[bytes | run.JailError, bool]:
    """What came of the next item, and whether the jail goes on after it."""
    try:
        number, size = HEAD.unpack(_read(process, HEAD.size, out, limits))
        if number:
            return run.error_of_signal(number, limits), True
        if size > limits.output_bytes:
            return run.error_of(run.OUTPUT_TOO_LARGE, limits), False
        output = _read(process, size, out, limits)
    except run.JailError as exc:
        return exc, False
    try:
        return run.read_answer(output, limits), True
    except run.JailError as exc:
        return exc, True


def _read(process: subprocess.Popen[bytes], size: int, out: Path, limits: Limits) -> bytes:
    """Exactly so many bytes. Raises JailError at a limit, and at the jail's end."""
    ends_at, read = time.monotonic() + limits.wall_s, bytearray()
    descriptor = process.stdout.fileno()  # type: ignore[union-attr]
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while len(read) < size:
            if time.monotonic() > ends_at:
                raise run.error_of(run.TIMED_OUT, limits)
            if run.is_too_much(out, limits):
                raise run.error_of(run.TOO_MUCH_WRITTEN, limits)
            if not selector.select(run.LOOK_EVERY_S):
                continue
            piece = os.read(descriptor, min(size - len(read), run.READ_BYTES))
            if not piece:
                raise run.error_of(run.CRASHED, limits)
            read += piece
    return bytes(read)
