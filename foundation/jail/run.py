"""Running something in the jail, and how it ended in words for whoever sent the bytes.

Guards against: endless loops, memory, disk, output, new processes, the network, the house's files,
environment and descriptors; what is left of it is ended and removed. Does not cover: holes in the kernel;
that a result is true. Whoever reads it reads it as a stranger's.
"""

import contextlib
import json
import logging
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from foundation.errors import InvalidInput, Unavailable
from foundation.jail import inside
from foundation.jail.folders import bring_in, open_folder
from foundation.jail.limits import MEGABYTE, Limits
from foundation.told import gettext as _

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parent.parent.parent
START = "import sys; sys.path[:0] = sys.argv[1:]; from foundation.jail.inside import main; main()"
SYSTEM = [
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/alternatives",
]
DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom"]
ABOUT_THE_MACHINE = ["/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo"]
CODE = re.compile(r"[a-z][a-z_]{0,39}")
LOOK_EVERY_S = 0.1
READ_BYTES = 65_536


class JailError(InvalidInput):
    """Why the jail gave no result. `code` is one of TIMED_OUT … below, or a jailed function's own."""


TIMED_OUT, CRASHED, OUTPUT_TOO_LARGE = "timed_out", "crashed", "output_too_large"
OUT_OF_MEMORY, TOO_MUCH_WRITTEN, UNREADABLE = inside.OUT_OF_MEMORY, inside.TOO_MUCH_WRITTEN, inside.UNREADABLE
# the kernel kills what takes the machine's memory
REASON_OF_SIGNAL = {
    int(signal.SIGXCPU): TIMED_OUT,
    int(signal.SIGKILL): OUT_OF_MEMORY,
    int(signal.SIGXFSZ): TOO_MUCH_WRITTEN,
}


def run_jailed(
    what: str | list[str],
    *,
    files: Mapping[str, Path | bytes] | None = None,
    arguments: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
) -> bytes:
    """The result of a function (`"room.module:name"`) that gets the files' paths by name and the arguments,
    or what a program (a list: absolute path, then its arguments) writes to its standard output; it starts in
    a folder whose `in` holds the files. Raises JailError, or Unavailable where the jail could not be started.

    The function's module is imported inside: it and what it imports know no Django.
    """
    limits = limits or Limits()
    with open_folder() as folder:
        paths = bring_in(folder / "in", files or {})
        readable = [*list_readable(), str(folder / "in")]
        order = {
            "walls": describe_walls(readable, [str(folder / "out")], limits),
            "program": what if isinstance(what, list) else [],
            "function": "" if isinstance(what, list) else what,
            "files": {name: str(path) for name, path in paths.items()},
            "arguments": dict(arguments or {}),
        }
        output, code = _run(folder, readable, json.dumps(order).encode(), limits)
    if isinstance(what, list):
        if code:
            raise error_of(UNREADABLE, limits)
        return output
    return read_answer(output, limits)


def describe_walls(readable: list[str], writable: list[str], limits: Limits) -> dict[str, Any]:
    """As `walls.build` takes them."""
    return {
        "readable": [*readable, *ABOUT_THE_MACHINE],
        "writable": [*writable, *DEVICES],
        "memory_bytes": limits.memory_bytes,
        "cpu_s": limits.cpu_s,
        "file_bytes": limits.disk_bytes,
    }


def read_answer(output: bytes, limits: Limits) -> bytes:
    """The result in what a jailed function's process said. Raises JailError."""
    if output[:1] == inside.RESULT:
        return output[1:]
    raise error_of(_read_reason(output), limits)


def _read_reason(output: bytes) -> str:
    """The code that came out, which may be anything."""
    code = output[1:100].decode("ascii", "replace")
    return code if output[:1] == inside.ERROR and CODE.fullmatch(code) else CRASHED


def _run(folder: Path, readable: list[str], order: bytes, limits: Limits) -> tuple[bytes, int]:
    """What it wrote and its exit code. Raises JailError."""
    process = start(folder, readable, order)
    try:
        output = _listen(process, folder, limits)
    finally:
        code = end(process)
    if not output and code > 0 and bubblewrap():
        logger.error("bubblewrap ended with %s", code)
    number = -code if code < 0 else code - 128  # bubblewrap says it as a shell does
    if number > 0:
        raise error_of_signal(number, limits)
    return output, code


def start(folder: Path, readable: list[str], order: bytes) -> subprocess.Popen[bytes]:
    """The process, which has its order. Raises Unavailable."""
    # without `site`, which runs whatever installed packages want at each start
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    python = [sys.executable, "-I", "-S", "-B", "-c", START, *dict.fromkeys([str(ROOT), *installed])]
    command = [*bubblewrap(), *_bindings(folder, readable), *python] if bubblewrap() else python
    try:
        process = subprocess.Popen(
            command,
            cwd=folder / "out",
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as exc:
        raise _not_started() from exc
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(order)  # type: ignore[union-attr]
        process.stdin.close()  # type: ignore[union-attr]
    return process


def end(process: subprocess.Popen[bytes]) -> int:
    """With all that it has started. Its exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()  # type: ignore[union-attr]
    return process.wait()


def _listen(process: subprocess.Popen[bytes], folder: Path, limits: Limits) -> bytes:
    """Its output, up to its end. Raises JailError at a limit: whoever calls ends the process."""
    ends_at = time.monotonic() + limits.wall_s
    pieces: list[bytes] = []
    size, channel = 0, process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)  # type: ignore[arg-type]
        while True:
            if time.monotonic() > ends_at:
                raise error_of(TIMED_OUT, limits)
            if is_too_much(folder / "out", limits):
                raise error_of(TOO_MUCH_WRITTEN, limits)
            if not selector.select(LOOK_EVERY_S):
                continue
            piece = os.read(channel.fileno(), READ_BYTES)  # type: ignore[union-attr]
            if not piece:
                try:
                    process.wait(max(ends_at - time.monotonic(), 0))
                except subprocess.TimeoutExpired as exc:
                    raise error_of(TIMED_OUT, limits) from exc
                return b"".join(pieces)
            size += len(piece)
            if size > limits.output_bytes:
                raise error_of(OUTPUT_TOO_LARGE, limits)
            pieces.append(piece)


def is_too_much(folder: Path, limits: Limits) -> bool:
    size = count = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            count += 1
            with contextlib.suppress(OSError):
                size += os.lstat(f"{path}/{name}").st_blocks * 512
        if size > limits.disk_bytes or count > limits.most_files:
            return True
    return False


def error_of_signal(number: int, limits: Limits) -> JailError:
    return error_of(REASON_OF_SIGNAL.get(number, CRASHED), limits)


def error_of(reason: str, limits: Limits) -> JailError:
    return JailError(_say(reason, limits), code=reason)


def _say(reason: str, limits: Limits) -> str:
    texts = {
        TIMED_OUT: _("Reading it took longer than %(seconds)d seconds and was stopped.")
        % {"seconds": limits.wall_s},
        OUT_OF_MEMORY: _("Reading it takes more memory than the %(size)d MB that are allowed.")
        % {"size": limits.memory_bytes // MEGABYTE},
        TOO_MUCH_WRITTEN: _("It unpacks to more than the %(size)d MB that are allowed.")
        % {"size": limits.disk_bytes // MEGABYTE},
        OUTPUT_TOO_LARGE: _("It holds more than the %(size)d MB that are allowed.")
        % {"size": limits.output_bytes // MEGABYTE},
        CRASHED: _("The program that reads it crashed. The file is probably damaged."),
    }
    return texts.get(reason) or _("It could not be read. The file is probably damaged, or of another kind.")


def _not_started() -> Unavailable:
    return Unavailable(
        _("Files cannot be read at the moment. Try again in a moment."), code="jail_unavailable"
    )


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours: neither secrets nor addresses."""
    out = str(folder / "out")
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": out, "TMPDIR": out} | one_thread


def list_readable() -> list[str]:
    """The system's programs, Python, and the house's code (not the folder around it, where data may lie)."""
    code = [str(path.parent) for path in sorted(ROOT.glob("*/__init__.py"))]
    return [*SYSTEM, *dict.fromkeys([sys.prefix, sys.base_prefix]), *code]


@cache
def bubblewrap() -> tuple[str, ...]:
    """The program and what it does in any case; empty where there is none, or it may make no namespaces."""
    path = shutil.which("bwrap")
    if path is None:
        return ()
    command = (path, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    try:
        tried = subprocess.run(
            [*command, "--ro-bind", "/", "/", "/bin/true"], check=False, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if tried.returncode == 0 else ()


def _bindings(folder: Path, readable: list[str]) -> list[str]:
    """All that is there for bubblewrap's process."""
    bindings = [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--ro-bind-try",
        "/sys/devices/system/cpu",
        "/sys/devices/system/cpu",
    ]
    for path in readable:
        bindings += ["--ro-bind-try", os.path.realpath(path), path]
    out = str(folder / "out")
    return [*bindings, "--bind", out, out, "--chdir", out, "--"]
