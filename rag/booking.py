"""On what the work of documents is booked that are brought at this moment: the key by which a program came,
and the project. Pages book on the person's default project.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Booking:
    key_id: UUID | None = None
    project_id: UUID | None = None


_PAGES = Booking()
_current: ContextVar[Booking] = ContextVar("booking", default=_PAGES)


def get_booking() -> Booking:
    return _current.get()


@contextmanager
def booked_on(*, key_id: UUID | None = None, project_id: UUID | None = None) -> Iterator[None]:
    token = _current.set(Booking(key_id, project_id))
    try:
        yield
    finally:
        _current.reset(token)
