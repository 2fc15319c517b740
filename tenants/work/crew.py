"""What a worker does for one queue: claim, have it done, watch over it.

Guards against: one tenant's long line (turns go round; while others may come, one tenant never has a worker's
last place), a queue's messages lost (it looks every two seconds anyway), work that hangs, a worker that is
told to end (what it has is given back).
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from django.db import DatabaseError, connections

from foundation.told import gettext as _
from tenants.context import use_scope
from tenants.work import claims, hands
from tenants.work.claims import ClaimLost, Held, Wish
from tenants.work.turns import list_turns, take_turn

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 2.0
BEAT_S = 1.0  # at most; a short lease is renewed four times
CANCEL_GRACE_S = 2.0  # in which a cancelled process may end by itself
STOP_S = 5.0


class Crew:
    """A queue's places in this process. `run` is its life; `wake` and `stop` may be called from anywhere."""

    def __init__(self, queue: str, places: int) -> None:
        self.queue = queue
        self._places = places
        self._share = max(places - 1, 1)  # that one tenant may have
        self._busy: dict[threading.Thread, Held] = {}
        self._news = threading.Event()
        self._stopping = threading.Event()

    def wake(self) -> None:
        self._news.set()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._fill()
            except DatabaseError:
                logger.warning("the queue %s lost the database and waits for it", self.queue)
            except Exception:
                logger.exception("the queue %s could not be looked at", self.queue)
            connections.close_all()  # back to the pool
            self._news.wait(LOOK_EVERY_S)
            self._news.clear()
        for thread in list(self._busy):
            thread.join(STOP_S)

    def _fill(self) -> None:
        """Give work to free places, in turns, until there is none."""
        is_given = True
        while is_given and not self._stopping.is_set():
            is_given = False
            for turn in list_turns(self.queue):
                if len(self._busy) >= self._places:
                    return
                if self._count(turn.role) >= self._share:
                    continue
                if (held := take_turn(turn)) is not None:
                    self._give(held, turn.role)
                    is_given = True

    def _count(self, role: str) -> int:
        return sum(thread.name == role for thread in list(self._busy))

    def _give(self, held: Held, role: str) -> None:
        thread = threading.Thread(target=self._attend, args=(held,), daemon=True, name=role)
        self._busy[thread] = held
        thread.start()

    def _attend(self, held: Held) -> None:
        try:
            with use_scope(held.scope):
                self._watch(held)
        except ClaimLost:
            pass  # it was brought to its end, by itself or by others
        except Exception:
            logger.exception("%s %s was left; its lease ends", held.kind.name, held.work_id)
        finally:
            connections.close_all()
            self._busy.pop(threading.current_thread(), None)
            self._news.set()

    def _watch(self, held: Held) -> None:
        """Until it ends. Raises ClaimLost where nothing is left to write down."""
        hand, left = hands.start(held), held.each()
        beat_s = min(BEAT_S, held.kind.lease_s / 4)
        ends_at = time.monotonic() + held.kind.longest_s
        cancel_by: float | None = None
        while not hand.wait(beat_s):
            wishes = self._renew(left)
            left = [one for one in left if wishes[one.work_id] != Wish.LOST]
            if self._stopping.is_set() or not left:
                hand.stop()
                if held.kind.is_killable:
                    return _for_each(left, claims.release)
            if not held.kind.is_killable:
                continue  # it asks by itself
            if time.monotonic() > ends_at:
                hand.stop()
                return self._fail(left, _took_too_long(held))
            if Wish.CANCEL not in wishes.values():
                cancel_by = None
                continue
            cancel_by = cancel_by or time.monotonic() + CANCEL_GRACE_S
            if time.monotonic() > cancel_by:
                hand.stop()
                is_cancelled = {one.work_id: wishes[one.work_id] == Wish.CANCEL for one in left}
                _for_each([one for one in left if is_cancelled[one.work_id]], claims.conclude_cancelled)
                return _for_each([one for one in left if not is_cancelled[one.work_id]], claims.release)
        return self._fail(left, claims.worker_lost())

    @staticmethod
    def _renew(pieces: list[Held]) -> dict[UUID, Wish]:
        try:
            return claims.renew_each(pieces)
        except DatabaseError:
            logger.warning("%s %s could not be renewed", pieces[0].kind.name, pieces[0].work_id)
            return {one.work_id: Wish.GO_ON for one in pieces}
        finally:
            connections.close_all()

    @staticmethod
    def _fail(pieces: list[Held], error: claims.AtriumError) -> None:
        def fail(one: Held) -> None:
            claims.conclude_attempt(one, error)
            logger.warning("%s %s: %s", one.kind.name, one.work_id, error.message)

        _for_each(pieces, fail)


def _for_each(pieces: list[Held], write: Callable[[Held], object]) -> None:
    """Those that were brought to their end meanwhile, by themselves or by others, are passed over."""
    for one in pieces:
        with suppress(ClaimLost):
            write(one)


def _took_too_long(held: Held) -> claims.TookTooLong:
    text = _("It took longer than %(minutes)d minutes and was ended.")
    return claims.TookTooLong(text % {"minutes": held.kind.longest_s / 60})


_crews: dict[str, Crew] = {}
_threads: list[threading.Thread] = []


def start_crews(queues: list[str], places: int) -> None:
    """Begin to work for these queues, each in a thread beside the process's other business."""
    for queue in queues:
        _crews[queue] = Crew(queue, places)
        _threads.append(threading.Thread(target=_crews[queue].run, daemon=True, name=f"work queue {queue}"))
        _threads[-1].start()


def stop_crews() -> None:
    """Give back what is being done, within seconds."""
    for crew in _crews.values():
        crew.stop()
    for thread in _threads:
        thread.join(STOP_S)


def wake_crew(queue: str) -> None:
    if queue in _crews:
        _crews[queue].wake()
