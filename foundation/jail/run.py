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
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from foundation.errors import InvalidInput, Unavailable
from foundation.jail import inside
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
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
LOOK_EVERY_S = 0.1
PREFIX = "atrium-jail-"
FORGOTTEN_AFTER_S = 3_600.0
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
    with _folder() as folder:
        paths = _bring_in(folder, files or {})
        readable = _readable(folder)
        order = {
            "walls": {
                "readable": [*readable, *ABOUT_THE_MACHINE],
                "writable": [str(folder / "out"), *DEVICES],
                "memory_bytes": limits.memory_bytes,
                "cpu_s": limits.cpu_s,
                "file_bytes": limits.disk_bytes,
            },
            "program": what if isinstance(what, list) else [],
            "function": "" if isinstance(what, list) else what,
            "files": {name: str(path) for name, path in paths.items()},
            "arguments": dict(arguments or {}),
        }
        output, code = _run(folder, readable, json.dumps(order).encode(), limits)
    if isinstance(what, list):
        if code:
            raise _error(UNREADABLE, limits)
        return output
    if output[:1] == inside.RESULT:
        return output[1:]
    raise _error(_read_reason(output), limits)


def _read_reason(output: bytes) -> str:
    """The code that came out, which may be anything."""
    code = output[1:100].decode("ascii", "replace")
    return code if output[:1] == inside.ERROR and CODE.fullmatch(code) else CRASHED


def _run(folder: Path, readable: list[str], order: bytes, limits: Limits) -> tuple[bytes, int]:
    """What it wrote and its exit code. Raises JailError."""
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
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(order)  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
        output = _listen(process, folder, limits)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()  # type: ignore[union-attr]
        code = process.wait()
    if not output and code > 0 and bubblewrap():
        logger.error("bubblewrap ended with %s", code)
    number = -code if code < 0 else code - 128  # bubblewrap says it as a shell does
    if number > 0:
        raise _error(REASON_OF_SIGNAL.get(number, CRASHED), limits)
    return output, code


def _listen(process: subprocess.Popen[bytes], folder: Path, limits: Limits) -> bytes:
    """Its output, up to its end. Raises JailError at a limit: whoever calls ends the process."""
    ends_at = time.monotonic() + limits.wall_s
    pieces: list[bytes] = []
    size, channel = 0, process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)  # type: ignore[arg-type]
        while True:
            if time.monotonic() > ends_at:
                raise _error(TIMED_OUT, limits)
            if _is_too_much(folder / "out", limits):
                raise _error(TOO_MUCH_WRITTEN, limits)
            if not selector.select(LOOK_EVERY_S):
                continue
            piece = os.read(channel.fileno(), READ_BYTES)  # type: ignore[union-attr]
            if not piece:
                try:
                    process.wait(max(ends_at - time.monotonic(), 0))
                except subprocess.TimeoutExpired as exc:
                    raise _error(TIMED_OUT, limits) from exc
                return b"".join(pieces)
            size += len(piece)
            if size > limits.output_bytes:
                raise _error(OUTPUT_TOO_LARGE, limits)
            pieces.append(piece)


def _is_too_much(folder: Path, limits: Limits) -> bool:
    size = count = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            count += 1
            with contextlib.suppress(OSError):
                size += os.lstat(f"{path}/{name}").st_blocks * 512
        if size > limits.disk_bytes or count > limits.most_files:
            return True
    return False


def _error(reason: str, limits: Limits) -> JailError:
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


def _readable(folder: Path) -> list[str]:
    """The system's programs, Python, and the house's code (not the folder around it, where data may lie)."""
    code = [str(path.parent) for path in sorted(ROOT.glob("*/__init__.py"))]
    return [*SYSTEM, *dict.fromkeys([sys.prefix, sys.base_prefix]), *code, str(folder / "in")]


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


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder with `in` and `out`, removed at the end; with it those that killed processes left."""
    _remove_forgotten()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        (folder / "in").mkdir()
        (folder / "out").mkdir()
        yield folder
    finally:
        _remove(folder)


def _bring_in(folder: Path, files: Mapping[str, Path | bytes]) -> dict[str, Path]:
    paths = {}
    for name, source in files.items():
        if not NAME.fullmatch(name):
            raise ValueError("Files get plain names in the jail.")
        paths[name] = path = folder / "in" / name
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            shutil.copyfile(source, path)
    return paths


def _remove(folder: Path) -> None:
    def open_and_retry(function, path, _error) -> None:
        with contextlib.suppress(OSError):
            Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)
            function(path)

    shutil.rmtree(folder, onerror=open_and_retry)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)  # folders that it had locked are open now


def _remove_forgotten() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(folder.name.removeprefix(PREFIX).partition("-")[0])
            is_old = time.time() - folder.stat().st_mtime > FORGOTTEN_AFTER_S
            if is_old and not Path(f"/proc/{pid}").exists():
                _remove(folder)
