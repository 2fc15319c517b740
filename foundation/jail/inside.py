"""What runs in the jail: builds the walls, does the work, says how it ended. The standard library only.

It is started as a program of its own, without the house's environment, descriptors or Django. Its order comes
as JSON by the standard input; the result, or the reason why there is none, goes out by the standard output:
`R` and the bytes, or `E` and a code. Of several files (foundation.jail.each), each answer stands behind a
HEAD: the signal that ended its process, or 0, and how many bytes follow.
"""

import ctypes
import errno
import importlib
import json
import mimetypes
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from foundation.jail import walls

HEAD = struct.Struct(">II")
RESULT, ERROR = b"R", b"E"
OUT_OF_MEMORY, TOO_MUCH_WRITTEN, UNREADABLE = "out_of_memory", "too_much_written", "unreadable"


class Refused(Exception):
    """A jailed function's own reason not to give a result, such as `Refused("encrypted")`: its code comes out
    as the JailError's.
    """


def main() -> None:
    order = json.load(sys.stdin.buffer)
    channel = os.fdopen(os.dup(1), "wb")
    mimetypes.knownfiles = []  # libraries would read them, and stand before the wall
    _be_silent()
    # the folder in which our packages lie cannot be listed afterwards
    importlib.import_module(order["function"].partition(".")[0] or "foundation")
    if "each" in order:
        _answer_each(order, channel)
        os._exit(0)
    walls.build(**order["walls"])
    if order["program"]:
        os.dup2(channel.fileno(), 1)
        os.execv(order["program"][0], order["program"])
    answer = _answer(order)
    try:
        channel.write(answer)
        channel.flush()
    finally:
        os._exit(0)


def _answer_each(order: dict[str, Any], channel: BinaryIO) -> None:
    """A process for each, so that none finds what the one before it left. This one reads a stranger's bytes
    only to pass them on.
    """
    walls.end_with_parent(ctypes.CDLL(None))
    for module in (order["function"].partition(":")[0], *order["imports"]):
        importlib.import_module(module)
    for one in order["each"]:
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(channel.fileno())
            os.close(ours)
            _answer_one(order, one, theirs)
        os.close(theirs)
        output = _read_at_most(ours, order["most_bytes"])
        if len(output) > order["most_bytes"]:
            os.kill(pid, signal.SIGKILL)
        os.close(ours)
        _pid, status = os.waitpid(pid, 0)
        is_killed = os.WIFSIGNALED(status) and len(output) <= order["most_bytes"]
        number = os.WTERMSIG(status) if is_killed else 0
        channel.write(HEAD.pack(number, 0 if number else len(output)))
        channel.write(b"" if number else output)
        channel.flush()


def _read_at_most(descriptor: int, most: int) -> bytes:
    """One byte more where there is more."""
    pieces, size = [], 0
    while size <= most and (piece := os.read(descriptor, min(most + 1 - size, 1_048_576))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _answer_one(order: dict[str, Any], one: dict[str, Any], descriptor: int) -> NoReturn:
    try:
        os.chdir(one["out"])
        os.environ["HOME"] = os.environ["TMPDIR"] = one["out"]
        wall = order["walls"]
        walls.build(
            **wall | {"readable": [*wall["readable"], one["in"]], "writable": [*wall["writable"], one["out"]]}
        )
        answer = _answer(one | {"function": order["function"]})
        with os.fdopen(descriptor, "wb") as channel:
            channel.write(answer)
    finally:
        os._exit(0)


def _be_silent() -> None:
    """What libraries print must not be taken for the result."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _answer(order: dict[str, Any]) -> bytes:
    try:
        module, _, name = order["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        files = {name: Path(path) for name, path in order["files"].items()}
        return RESULT + function(files, **order["arguments"])
    except Refused as exc:
        return ERROR + str(exc).encode()
    except MemoryError:
        return ERROR + OUT_OF_MEMORY.encode()
    except OSError as exc:
        is_full = exc.errno in (errno.EFBIG, errno.ENOSPC)
        return ERROR + (TOO_MUCH_WRITTEN if is_full else UNREADABLE).encode()
    except Exception:
        return ERROR + UNREADABLE.encode()


def probe(files: dict[str, Path], secret: str, port: int) -> bytes:
    """What can be done from inside, tried: `foundation.jail.state` asks it."""
    tries: dict[str, Callable[[], object]] = {
        "files": lambda: Path(secret).read_bytes(),
        "network": lambda: socket.create_connection(("127.0.0.1", port), timeout=2),
        "processes": lambda: os.fork() or os._exit(0),
    }
    return json.dumps([name for name, action in tries.items() if _succeeds(action)]).encode()


def _succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True
