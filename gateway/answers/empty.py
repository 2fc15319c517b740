"""Answers in which nothing was written, and whose report says so: another model may have more to say."""

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from foundation.errors import AtriumError, UpstreamError
from gateway.calls import Call

STOP = "stop"
T = TypeVar("T")


class EmptyAnswer(UpstreamError):
    """Nothing was written, whatever a report charges for what was read."""


class NothingSaid(EmptyAnswer):
    """It came as it should; `parts`: what goes to the client where nobody stands in."""

    code = "upstream_empty"

    def __init__(self, parts: list[Any]) -> None:
        super().__init__("The model wrote nothing.")  # nobody is told
        self.parts = parts


class FailedAnswer(EmptyAnswer):
    """An error came in place of it, which the client is told where nobody stands in."""

    code = "upstream_error"


def as_failure(call: Call, error: AtriumError) -> AtriumError:
    """An error that came with status 200: the same, or as one of an answer in which nothing was written."""
    usage = call.usage
    if error.code != FailedAnswer.code or usage is None or usage.total_output or call.pieces_seen:
        return error
    return FailedAnswer(str(error.message))


def refuse_empty(call: Call, parts: list[Any]) -> None:
    """Raises NothingSaid. What counts neither input nor output is nothing in place of an answer, and free."""
    if call.pieces_seen or call.finish_reason != STOP:
        return
    if call.usage is None and call.has_report_of_nothing:
        call.was_refused = True
    elif call.usage is None or call.usage.total_output:
        return
    raise NothingSaid(parts)


class LastParts(Generic[T]):
    """Keeps the end of a stream in which nothing was written, until it is known what it costs."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._kept: list[T] = []
        self._has_sent = False

    def pass_on(self, parts: Iterable[T]) -> Iterator[T]:
        call = self._call
        for part in parts:
            if not call.pieces_seen and call.finish_reason is not None:
                self._kept.append(part)
                continue
            self._has_sent = True
            yield from self._take()
            yield part

    def end(self) -> Iterator[T]:
        """What was kept. Raises NothingSaid."""
        if not self._has_sent:
            refuse_empty(self._call, self._kept)
        yield from self._take()

    def _take(self) -> list[T]:
        kept, self._kept = self._kept, []
        return kept
