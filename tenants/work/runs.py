"""What a function that does work is given: how to tell how far it is, and how to write so that nothing is
done twice.

    def ingest(run: Run) -> None:
        for batch in batches:
            run.progress("embed", done, total)  # also raises when somebody has cancelled it
            with run.step():
                write(batch)  # committed only while this worker holds the work
        with run.conclusion():
            finish()  # committed together with the end of the work
"""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import translation

from foundation.errors import AtriumError
from tenants.local.models import Work
from tenants.work import claims
from tenants.work.claims import ClaimLost, Held, Wish
from tenants.work.kinds import Together

logger = logging.getLogger(__name__)
WRITE_EVERY_S = 0.5


class Cancelled(BaseException):
    """Somebody has cancelled the work. (No `Exception`: see ClaimLost.)"""


class Stopping(BaseException):
    """The worker ends; the work is given back."""


class Run:
    """One attempt at a piece of work."""

    def __init__(self, held: Held, row: Work | None = None) -> None:
        row = row or held.rows().first()
        if row is None:
            raise ClaimLost
        self.held = held
        self._stages: dict[str, tuple[int, int]] = {}
        self._written_at = 0.0
        self.is_concluded = False
        self.is_stopping = False  # set by the thread that watches over this one
        self.work_id: UUID = row.pk
        self.object_id: str = row.object_id
        self.arguments: dict[str, Any] = row.arguments
        self.attempt: int = row.attempts
        self.ordered_by: UUID | None = row.ordered_by

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is. Raises Cancelled, ClaimLost: call it between batches, at least every two
        seconds. Writes twice a second at most.
        """
        is_new = stage not in self._stages or done >= total
        self._stages[stage] = (done, total)
        if self.is_stopping:
            raise Stopping
        if not is_new and time.monotonic() - self._written_at < WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        stages = [[name, *counts] for name, counts in self._stages.items()]
        if not self.held.rows().update(stages=stages):
            raise ClaimLost
        self.check()

    def check(self) -> None:
        """Raises Cancelled where somebody wants that, ClaimLost where another worker has the work."""
        if self.is_stopping:
            raise Stopping
        found = self.held.rows().values_list("cancel_wanted_at").first()
        if found is None:
            raise ClaimLost
        if found[0] is not None:
            raise Cancelled

    @contextmanager
    def step(self) -> Iterator[None]:
        """A transaction that commits only if this worker still holds the work. Raises ClaimLost."""
        with transaction.atomic():
            yield
            # at the end, so that the row is locked for a moment only
            lease = claims.from_now(self.held.kind.lease_s)
            if not self.held.rows().update(due_at=lease, heartbeat_at=Now()):
                raise ClaimLost

    @contextmanager
    def conclusion(self) -> Iterator[None]:
        """The last step: what it writes and the end of the work are committed together. Raises ClaimLost."""
        with transaction.atomic():
            yield
            claims.conclude(self.held)
        self.is_concluded = True

    def spend(self, amount: Decimal) -> None:
        """Add to what the work has cost, in the tenant's currency. Raises ClaimLost."""
        if not self.held.rows().update(cost=F("cost") + amount):
            raise ClaimLost


class Several:
    """One attempt at several pieces of one claim. `runs`: those that are still to be done."""

    def __init__(self, held: Held) -> None:
        rows = {row.pk: row for row in claims.rows_of(held.each())}
        self.runs = [Run(one, rows[one.work_id]) for one in held.each() if one.work_id in rows]
        self._stages: dict[str, tuple[int, int]] = {}
        self._looked_at = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell how far all of them are in a stage; what was cancelled, or taken by others, is left out from
        then on. Writes twice a second at most. Raises ClaimLost where none is left.
        """
        if not self.runs:
            raise ClaimLost
        is_new = stage not in self._stages
        self._stages[stage] = (done, total)
        if is_new or time.monotonic() - self._looked_at > WRITE_EVERY_S:
            claims.tell_stages(self._pieces(), [[name, *counts] for name, counts in self._stages.items()])
            self.check()

    def check(self) -> None:
        """Leave out what is not to be done any more. Raises ClaimLost where none is left."""
        if not self.runs:
            raise ClaimLost
        wishes = claims.renew_each(self._pieces())
        self._looked_at = time.monotonic()
        for run in self.runs:
            if wishes[run.work_id] == Wish.CANCEL:
                with suppress(ClaimLost):
                    claims.conclude_cancelled(run.held)
        self.runs = [run for run in self.runs if wishes[run.work_id] == Wish.GO_ON]
        if not self.runs:
            raise ClaimLost

    @contextmanager
    def conclusion(self) -> Iterator[None]:
        """What it writes and the end of all that are left are committed together. Raises ClaimLost."""
        with transaction.atomic():
            yield
            if self.runs:
                claims.conclude_each(self._pieces())
        self.runs = []

    def put_back(self, runs: Iterable[Run]) -> None:
        """These are done alone, later."""
        for run in list(runs):
            self.runs.remove(run)
            with suppress(ClaimLost):
                claims.put_back(run.held)

    def release(self, runs: Iterable[Run]) -> None:
        """These were not begun: it is as if nobody had claimed them."""
        for run in list(runs):
            self.runs.remove(run)
            with suppress(ClaimLost):
                claims.release(run.held)

    def _pieces(self) -> list[Held]:
        return [run.held for run in self.runs]


def _carry_out_together(together: Together, held: Held) -> None:
    several = Several(held)
    with translation.override(settings.LANGUAGE_CODE):
        try:
            with suppress(ClaimLost):
                if several.runs:
                    together.run(several)
        except AtriumError as exc:  # its words may name what is somebody's own
            logger.info("%s: several at once failed (%s), each is done alone", held.kind.name, exc.code)
        except Exception:
            logger.exception("%s: several at once failed, each is done alone", held.kind.name)
        several.put_back(several.runs)


def carry_out(held: Held, run: Run | None = None) -> None:
    """Do the work and write down how it ended. Inside the scope of `held`."""
    if held.others and held.kind.together is not None:
        return _carry_out_together(held.kind.together, held)
    with translation.override(settings.LANGUAGE_CODE), suppress(ClaimLost):
        try:
            run = run or Run(held)
            held.kind.run(run)
            if not run.is_concluded:
                claims.conclude(held)
        except Cancelled:
            claims.conclude_cancelled(held)
        except Stopping:
            claims.release(held)
        except AtriumError as exc:
            claims.conclude_attempt(held, exc)
            logger.info("%s %s failed: %s", held.kind.name, held.work_id, exc.code)
        except Exception as exc:
            claims.conclude_attempt(held, exc)
            logger.exception("%s %s failed", held.kind.name, held.work_id)
