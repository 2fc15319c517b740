"""What children say: all of it into a log file of bounded size, the part that matters onto the terminal."""

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TextIO

LOG_LIMIT_BYTES = 5_000_000
COLOURS = {"web": 36, "worker": 35, "runtime": 33, "postgres": 34, "valkey": 32}
# Levels as words (Django, Celery, uvicorn) or in JSON lines, and what Python says last.
TROUBLE = re.compile(
    r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC)\b|^(Traceback|CommandError)|^[\w.]+(Error|Exception|Warning):",
    re.ASCII,
)
FATAL = re.compile(r"\b(FATAL|PANIC)\b")
EVERYTHING = re.compile("")
NOTHING = re.compile(r"(?!)")


def open_log(path: Path) -> int:
    """A descriptor to append to, mode 0600; a file above the limit becomes `name.log.1` first."""
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Terminal:
    """Lines for the person who started us; silent once the terminal has gone away."""

    def __init__(
        self, *, is_verbose: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.is_verbose = is_verbose
        self.out = out or sys.stdout
        self.err = err or sys.stderr

    def say(self, text: str) -> None:
        self._write(self.out, text)

    def warn(self, text: str) -> None:
        self._write(self.err, f"atrium: {text}")

    def show_line(self, name: str, line: str) -> None:
        """A child's line behind its name, in colour only where a person looks."""
        label = f"{name:>8} | "
        colour = COLOURS.get(name.partition("-")[0])
        if colour and self.err.isatty() and "NO_COLOR" not in os.environ:
            label = f"\x1b[{colour}m{label}\x1b[0m"
        self._write(self.err, label + line)

    def _write(self, stream: TextIO, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=stream, flush=True)


class ChildLog:
    """Takes a child's output in pieces, as it comes out of the pipe."""

    def __init__(self, name: str, folder: Path, terminal: Terminal, loud: re.Pattern[str]) -> None:
        self._name = name
        self._terminal = terminal
        self._loud = loud
        self._path = folder / f"{name}.log"
        self._descriptor = open_log(self._path)
        self._rest = b""
        self._in_traceback = False
        self.last_lines: list[str] = []

    def feed(self, piece: bytes) -> None:
        self._keep(piece)
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest
        for line in lines:
            self._take(line.decode(errors="replace").rstrip())
        if len(self._rest) > 65_536:  # a line without end must not fill the memory
            self.end_line()

    def end_line(self) -> None:
        """Treat what has come as a whole line: the child has ended."""
        rest = self._rest
        self._rest = b""
        if rest:
            self._take(rest.decode(errors="replace"))

    def mute(self) -> None:
        """From now on the file only: while children are being stopped, their complaints are no news."""
        self._loud = NOTHING
        self._in_traceback = False

    def close(self) -> None:
        self.end_line()
        os.close(self._descriptor)

    def _keep(self, piece: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor
            os.write(self._descriptor, piece)
            if os.fstat(self._descriptor).st_size > LOG_LIMIT_BYTES:
                os.close(self._descriptor)
                self._descriptor = open_log(self._path)

    def _take(self, line: str) -> None:
        self.last_lines = [*self.last_lines[-19:], line]
        is_loud = bool(self._loud.search(line)) or self._in_traceback
        if is_loud or self._terminal.is_verbose:
            self._terminal.show_line(self._name, line)
        # A traceback runs on to its first line that is not indented.
        self._in_traceback = self._loud is TROUBLE and (
            line.startswith("Traceback") or (self._in_traceback and (not line or line[0].isspace()))
        )
