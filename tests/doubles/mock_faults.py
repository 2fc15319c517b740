"""The catalogue of what upstreams do wrong (S28 of docs/proofs.md), each behind a model name
`fault-<name>` or `fault-<name>-<number>`.

Each fault starts from the proper answer of 8 tokens (`Speaker`) and breaks one thing. Faults that break in
the middle of an answer do so after 3 tokens, or after half of a whole answer. What `<number>` means is in the
fault's sentence. `python -m tests.doubles.mockllm --list` prints all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .mock_speech import Speaker

Run = Callable[[Speaker, int | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `ends` says how the client's call may end: answer (a proper one must
    reach the client), error, or either.
    """

    name: str
    says: str
    ends: str
    run: Run


FAULTS: dict[str, Fault] = {}


def fault(name: str, says: str, *, ends: str = "error") -> Callable[[Run], Run]:
    """Enter a fault into the catalogue."""

    def enter(run: Run) -> Run:
        FAULTS[name] = Fault(name, says, ends, run)
        return run

    return enter


def find_fault(model: str) -> tuple[Fault, int | None] | None:
    """The fault a model name asks for, with its number."""
    if not model.startswith("fault-"):
        return None
    name = model[len("fault-") :]
    if name in FAULTS:
        return FAULTS[name], None
    match = re.fullmatch(r"(.+)-(\d+)", name)
    if match and match[1] in FAULTS:
        return FAULTS[match[1]], int(match[2])
    return None


def fault_models() -> list[str]:
    """The model names of the whole catalogue."""
    return [f"fault-{name}" for name in FAULTS]


# they enter themselves
from . import mock_faults_content, mock_faults_http, mock_faults_wire  # noqa: E402, F401
