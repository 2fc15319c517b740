"""Pieces of work that models answer: some under way at once, for a while, then others have their turn."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gateway.vectors import Pending

AT_ONCE = 2  # so that the model does not wait while the last answer is written
SLICE_S = 60.0


class Piece(Protocol):
    @property
    def pending(self) -> Pending | None:
        """What the model was asked; None: it need not be."""


P = TypeVar("P", bound=Piece)


def work_off(begin: Callable[[Sequence[P]], P | None], land: Callable[[P], None]) -> bool:
    """Begin pieces and land each, in their order, until none is left; False where the time was over before
    that. `begin` gets those under way, and gives None where no other is left. What either raises ends it,
    and cancels what is under way.
    """
    ends_at, is_over = time.monotonic() + SLICE_S, False
    flying: deque[P] = deque()
    try:
        while True:
            while not is_over and len(flying) < AT_ONCE:
                piece = begin(flying)
                if piece is None:
                    break
                flying.append(piece)
            if not flying:
                return not is_over
            land(flying.popleft())
            is_over = time.monotonic() > ends_at
    finally:
        for piece in flying:
            if piece.pending is not None:
                piece.pending.cancel()
