"""Kinds of work for tests, and for workers that tests start. What they do is written down as rows of a
list that nobody else needs there (web origins), so that it can be counted.

A bug in $ATRIUM_TEST_WORK_BUG is planted in each process that imports this.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from uuid import uuid4

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from foundation.errors import InvalidInput, UpstreamError
from tenants.local.models import WebOrigin, Work
from tenants.work.kinds import Together, work_kind
from tenants.work.runs import Run, Several

QUEUE, OTHER_QUEUE = "proof", "proof-other"
NOTE, NOTE_BESIDE, NOTE_TOGETHER, HOLD, FAIL, HANG, HANG_TOGETHER, DIE = (
    f"tests.{name}"
    for name in ("note", "note_beside", "note_together", "hold", "fail", "hang", "hang_together", "die")
)
EFFECT = "tests.effect"
STEPS = 3
LEASE_S = 1.0
LABEL = _("Usage and cost")  # any text that is translated
let_go = threading.Event()
told: list[Work] = []  # failures


def leave_effect(run: Run, step: int | str) -> None:
    WebOrigin.objects.create(origin=f"{EFFECT} {run.work_id} {json.dumps(step)} {uuid4()}")


def count_effects() -> Counter:
    """How often each step of each piece of work has been done."""
    told = (text.split(" ") for text in list_effects().values_list("origin", flat=True))
    return Counter((work, json.loads(step)) for _effect, work, step, _once in told)


def list_effects(work: str = "") -> QuerySet[WebOrigin]:
    return WebOrigin.objects.filter(origin__startswith=f"{EFFECT} {work}")


def note(run: Run) -> None:
    """Steps that go on where an earlier attempt stopped, and an end that is one with its effect."""
    done = list_effects(str(run.work_id)).count()
    for step in range(done, STEPS):
        run.progress("steps", step, STEPS)
        time.sleep(run.arguments.get("pause_s", 0))
        with run.step():
            leave_effect(run, step)
    run.progress("steps", STEPS, STEPS)
    with run.conclusion():
        leave_effect(run, "end")


def hold(run: Run) -> None:
    """Until it is let go or told to stop."""
    while not let_go.wait(0.02):
        run.check()


def fail(run: Run) -> None:
    leave_effect(run, run.attempt)
    if run.attempt <= run.arguments.get("times", 99):
        if run.arguments.get("is_refused"):
            raise InvalidInput("This document is encrypted.", code="encrypted")
        raise UpstreamError("The server is away.", code="away")


def hang(run: Run) -> None:
    """In spite of everything that Python can say."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    leave_effect(run, os.getpid())
    time.sleep(600)


def die(run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def note_together(several: Several) -> None:
    several.progress("steps", 0, 1)
    several.put_back([run for run in several.runs if run.arguments.get("is_odd")])
    with several.conclusion():
        for run in several.runs:
            leave_effect(run, "together")


def hang_together(several: Several) -> None:
    """Where one of them makes it hang; the others would end."""
    if hanging := [run for run in several.runs if run.arguments.get("hangs")]:
        return hang(hanging[0])
    note_together(several)


def choose(first: Work, waiting: Sequence[Work]) -> list[Work]:
    return [row for row in waiting if row.arguments["of"] == first.arguments["of"]]


def run_crew(queue: str, places: int, bug: str) -> None:
    """A worker's part for one queue, as a process of its own."""
    os.setsid()
    os.environ["ATRIUM_TEST_WORK_BUG"] = bug
    exec(bug, {})
    from tenants.work.crew import Crew

    Crew(queue, places).run()


work_kind(
    NOTE, queue=QUEUE, run=note, label=LABEL, stages={"steps": LABEL}, lease_s=LEASE_S, most_attempts=99
)
work_kind(
    NOTE_BESIDE,
    queue=QUEUE,
    run=note,
    label=LABEL,
    is_killable=False,
    lease_s=LEASE_S,
    most_attempts=99,
)
work_kind(
    NOTE_TOGETHER,
    queue=QUEUE,
    run=note,
    label=LABEL,
    lease_s=LEASE_S,
    together=Together(most=4, choose=choose, run=note_together),
)
work_kind(HOLD, queue=OTHER_QUEUE, run=hold, label=LABEL, is_killable=False, lease_s=LEASE_S)
work_kind(FAIL, queue=QUEUE, run=fail, label=LABEL, is_killable=False, on_failure=told.append)
work_kind(HANG, queue=QUEUE, run=hang, label=LABEL, lease_s=LEASE_S, longest_s=2)
work_kind(
    HANG_TOGETHER,
    queue=QUEUE,
    run=note,
    label=LABEL,
    together=Together(most=4, choose=choose, run=hang_together),
)
work_kind(DIE, queue=QUEUE, run=die, label=LABEL, lease_s=LEASE_S, most_attempts=2, backoff_s=0.1)
exec(os.environ.get("ATRIUM_TEST_WORK_BUG", ""), {})
