"""The kinds of work there are: a room registers each of its own, in a module that its `apps.py` imports.

    work_kind("rag.ingest", queue="knowledge", run=ingest, label=_("Reading a document"))

A queue is served by every worker that is told nothing else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise

if TYPE_CHECKING:
    from tenants.local.models import Work


@dataclass(frozen=True, slots=True)
class WorkObject:
    """What is worked on, as people call it, and where it is shown."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Together:
    """How several pieces of one tenant are done in one process: `choose` gets a piece and those that wait
    beside it, none of them tried before, and gives those that go along; `run` gets a
    `tenants.work.runs.Several`. What it leaves undone, in whatever way it ends, is done alone: so one piece
    brings no other down twice.
    """

    most: int
    choose: "Callable[[Work, Sequence[Work]], Sequence[Work]]"
    run: Callable[[Any], object]


@dataclass(frozen=True, kw_only=True)
class WorkKind:
    """`run` is called inside the scope that ordered it, and may be called again after a crash: what it writes
    stands in `Run.step()` or `Run.conclusion()`. `is_killable`: in a process of its own, which a
    cancellation, `longest_s` or a crash ends; else in a thread, which ends when it asks `Run.check()`.
    `on_failure` is called in the transaction in which the work comes to nothing (failed or cancelled).
    `is_kept`: what is done stays among the background tasks for thirty days; else it goes at once.
    `is_platforms`: no tenant orders it, so none is asked about it.
    `name_objects` gives, for a person, what of these objects they may know, by id.
    """

    name: str
    queue: str
    run: Callable[[Any], object]  # gets a `tenants.work.runs.Run`
    label: str | Promise
    is_killable: bool = True
    stages: Mapping[str, str | Promise] = field(default_factory=dict)  # what people call them
    lease_s: float = 15.0  # after which another worker takes what gave no sign of life
    longest_s: float = 3_600.0  # of one attempt
    most_attempts: int = 5
    backoff_s: float = 5.0  # before the second attempt; doubled before each further one
    on_failure: "Callable[[Work], object] | None" = None
    together: Together | None = None  # of killable kinds alone
    is_kept: bool = True
    is_platforms: bool = False
    name_objects: "Callable[[Any, Iterable[str]], Mapping[str, WorkObject]] | None" = None


_kinds: dict[str, WorkKind] = {}


def work_kind(name: str, **options) -> WorkKind:
    """Register a kind of work; see WorkKind for what it may say."""
    if name in _kinds:
        raise ValueError(f"Two functions do the work “{name}”.")
    kind = _kinds[name] = WorkKind(name=name, **options)
    return kind


def get_kind(name: str) -> WorkKind:
    """Raises KeyError: a programming error, or a row of another release."""
    return _kinds[name]


def find_kind(name: str) -> WorkKind | None:
    return _kinds.get(name)


def list_all_kinds() -> list[WorkKind]:
    return sorted(_kinds.values(), key=lambda kind: kind.name)


def list_kinds(queue: str) -> list[str]:
    return [kind.name for kind in _kinds.values() if kind.queue == queue]


def list_queues() -> list[str]:
    return sorted({kind.queue for kind in _kinds.values()})
