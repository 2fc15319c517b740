"""What runs in the jail: builds the walls, does the work, says how it ended. The standard library only.

It is started as a program of its own, without the house's environment, descriptors or Django. Its order comes
as JSON by the standard input; the result, or the reason why there is none, goes out by the standard output:
`R` and the bytes, or `E` and a code.
"""

import errno
import importlib
import json
import mimetypes
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foundation.jail import walls

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
