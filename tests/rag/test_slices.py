"""Pieces of work under way at once, for a while (rag.work.slices)."""

from dataclasses import dataclass, field

import pytest

from rag.work import slices


@dataclass
class Asked:
    """A piece whose answer somebody waits for."""

    number: int
    is_cancelled: bool = field(default=False)

    @property
    def pending(self):
        return self

    def cancel(self) -> None:
        self.is_cancelled = True


def test_two_are_under_way_until_none_is_left_or_the_time_is_over(monkeypatch):
    line, told = [*range(5)], []

    def begin(flying):
        told.append(len(flying))
        return Asked(line.pop(0)) if line else None

    landed = []
    assert slices.work_off(begin, landed.append)
    assert [one.number for one in landed] == [0, 1, 2, 3, 4] and max(told) == slices.AT_ONCE - 1
    monkeypatch.setattr(slices, "SLICE_S", 0.0)
    line += range(5)
    assert not slices.work_off(begin, landed.append)
    assert line == [2, 3, 4] and len(landed) == 7, "what was under way is landed"


def test_what_is_under_way_ends_with_the_work():
    begun = []

    def begin(_flying):
        begun.append(Asked(len(begun)))
        return begun[-1]

    def land(piece):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        slices.work_off(begin, land)
    assert [one.is_cancelled for one in begun] == [False, True]
