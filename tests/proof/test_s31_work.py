"""S31 (and S25 for this queue): real workers, killed at random points, beside a broker that forgets
everything.

Nothing is lost, stuck or done twice; what a killed worker had started ends too. The messages that wake
workers are sent to a queue that nobody reads, and flushed: the rows are the queue.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.models import Duty
from tenants.work.claims import duty_of
from tenants.work.crew import Crew
from tenants.work.services import cancel, order
from tenants.work.turns import list_turns, take_turn
from tests import work_kinds
from tests.live import PLANTED
from tests.work_kinds import (
    HANG,
    HANG_TOGETHER,
    HOLD,
    NOTE,
    NOTE_BESIDE,
    OTHER_QUEUE,
    QUEUE,
    STEPS,
    count_effects,
    list_effects,
)
from usage.platform.models import Process

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
PIECES, KILLS = (400, 100) if NIGHT else (30, 8)
PATIENCE_S = 600 if NIGHT else 60  # in which everything must have ended: far more than it takes
SLUGS = ("acme", "globex")
# Whatever is claimed may be claimed again at once, and nobody asks whose claim it is.
NO_LEASE = """
from tenants.work import claims
lease = claims.from_now
claims.from_now = lambda seconds: lease(-3_600)
claims.Held.rows = lambda self: claims.Work.objects.filter(pk=self.work_id)
"""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.planted_ground"])
pytestmark = pytest.mark.timeout(PATIENCE_S * 2)


@pytest.fixture(autouse=True)
def _clean(unblocked):
    yield
    for slug in SLUGS:
        with tenant(slug):
            Work.objects.all().delete()
            list_effects().delete()
    with platform():
        Duty.objects.filter(kind__startswith="work.").delete()


def wait_until(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    end = time.monotonic() + patience_s
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def crews(count: int = 1, *, places: int = 3, bug: str = "") -> Iterator[list]:
    """Workers, as processes; one that is replaced in the list is ended by whoever replaces it."""
    running = [start_crew(places, bug) for _number in range(count)]
    try:
        yield running
    finally:
        for process in running:
            kill(process)


def start_crew(places: int = 3, bug: str = "", queue: str = QUEUE):
    process = _context.Process(target=work_kinds.run_crew, args=(queue, places, bug))
    process.start()
    return process


def kill(process) -> None:
    """kill -9, and not what it has started: that must end by itself."""
    process.kill()
    process.join()


def descendants(pid: int) -> list[int]:
    """The processes below one, by /proc."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(
                int(path.parent.name)
            )
    found, left = [], [pid]
    while left:
        left += (below := parents.get(left.pop(), []))
        found += below
    return found


def children_at_work(pid: int) -> list[int]:
    """Of a worker: those that lead a group of their own."""
    found = []
    for child in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(child) == child:
                found.append(child)
    return found


def order_everything(kind: str = NOTE) -> dict[str, list[str]]:
    ordered: dict[str, list[str]] = {}
    for slug in SLUGS:
        with tenant(slug):
            rows = [order(kind, arguments={"pause_s": 0.02}) for _number in range(PIECES // len(SLUGS))]
            ordered[slug] = [str(row.pk) for row in rows]
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.flushall()
    return ordered


def count_active() -> int:
    left = 0
    for slug in SLUGS:
        with tenant(slug):
            left += Work.objects.filter(state__in=Work.ACTIVE).count()
    return left


def wrong_ends(ordered: dict[str, list[str]]) -> list:
    """What is lost, stuck, failed, not done or done twice."""
    wrong: list = []
    for slug, ids in ordered.items():
        with tenant(slug):
            ended = {str(row.pk): row.state for row in Work.objects.all()}
            effects = count_effects()
        wrong += [(slug, pk, ended.get(pk)) for pk in ids if ended.get(pk) != Work.State.DONE]
        wanted = {(pk, step) for pk in ids for step in (*range(STEPS), "end")}
        wrong += [(slug, *one) for one in wanted - set(effects)]
        wrong += [(slug, *one, count) for one, count in effects.items() if count != 1]
    return wrong


def kill_at_random(running: list, dice: random.Random, queue: str = QUEUE) -> list[int]:
    """kill -9 of a worker, which is started anew, or of a process that does its work; the pids of what a
    killed worker leaves behind.
    """
    number = dice.randrange(len(running))
    children = children_at_work(running[number].pid)
    if children and dice.random() < 0.7:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(children), signal.SIGKILL)
        return []
    left = descendants(running[number].pid)
    kill(running[number])
    running[number] = start_crew(queue=queue)
    return left


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_kills_at_random_points_lose_nothing_and_do_nothing_twice():
    dice, left = random.Random(31), []
    ordered = order_everything()
    with crews(2) as running:
        for _kill in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.4))
            left += kill_at_random(running, dice)
        assert wait_until(lambda: count_active() == 0), "something is stuck"
    assert wrong_ends(ordered) == []
    assert wait_until(lambda: not any(map(is_alive, left))), "a worker's processes outlive it"


def test_planted_bug_a_claim_without_a_lease_is_noticed():
    ordered = order_everything(NOTE_BESIDE)
    with crews(2, bug=NO_LEASE):
        assert wait_until(lambda: any(len(wrong) == 4 for wrong in wrong_ends(ordered)), 20), (
            "nothing was done twice"
        )


def test_what_hangs_is_cancelled_or_ends_at_its_limit():
    with tenant("acme"):
        cancelled, endless = order(HANG), order(HANG)
        with crews():
            assert wait_until(lambda: len(count_effects()) == 2)
            cancel(cancelled)
            assert wait_until(lambda: Work.objects.get(pk=cancelled.pk).state == Work.State.CANCELLED)
            assert wait_until(lambda: Work.objects.get(pk=endless.pk).error_code == "took_too_long")
        pids = [step for _work, step in count_effects()]
    assert wait_until(lambda: not any(map(is_alive, pids)))


def test_one_that_is_cancelled_ends_a_group_that_hangs_and_the_others_are_done():
    with tenant("acme"):
        rows = [order(HANG_TOGETHER, arguments={"of": "a", "hangs": place == 1}) for place in range(3)]
        with crews():
            assert wait_until(lambda: len(count_effects()) == 1)
            ((_work, pid),) = count_effects()
            cancel(rows[1])
            assert wait_until(lambda: not Work.objects.filter(state__in=Work.ACTIVE).exists())
        found = Work.objects.order_by("pk").values_list("state", "attempts")
        assert list(found) == [("done", 1), ("cancelled", 1), ("done", 1)], "they lost no attempt"
    assert not is_alive(pid)


def test_what_a_killed_worker_had_begun_ends_with_it():
    with tenant("acme"):
        order(HANG)
        with crews() as running:
            assert wait_until(lambda: len(count_effects()) == 1)
            left = descendants(running[0].pid)
            kill(running[0])
    assert len(left) >= 2 and wait_until(lambda: not any(map(is_alive, left)), 20)


def test_one_tenants_long_pieces_leave_a_place_to_others():
    work_kinds.let_go.clear()
    crew = Crew(OTHER_QUEUE, 3)
    with tenant("acme"):
        for _number in range(6):
            order(HOLD)
    thread = threading.Thread(target=crew.run)
    thread.start()
    try:

        def count_running(slug: str) -> int:
            with tenant(slug):
                return Work.objects.filter(state=Work.State.RUNNING).count()

        assert wait_until(lambda: count_running("acme") == 2)
        with tenant("globex"):
            order(HOLD)
        crew.wake()
        assert wait_until(lambda: count_running("globex") == 1) and count_running("acme") == 2
        crew.stop()  # those under way are told, and given back
        thread.join()
        with tenant("acme"):
            rows = Work.objects.values_list("state", "attempts")
            assert set(rows) == {(Work.State.QUEUED, 0)}
    finally:
        work_kinds.let_go.set()
        crew.stop()
        thread.join()


def test_a_tenant_whose_schema_fails_keeps_no_other_waiting():
    with platform():
        role = f"{connection.settings_dict['NAME']}_gone"
        Duty.objects.create(role=role, kind=duty_of(QUEUE), due_at=timezone.now())
    with tenant("acme"):
        order(NOTE)
    taken = [take_turn(turn) for turn in list_turns(QUEUE)]
    assert [held and held.scope.slug for held in taken] == [None, "acme"]
    assert role not in [turn.role for turn in list_turns(QUEUE)], "it waits before the next look"


def test_a_worker_of_the_command_line_does_its_work_and_signs_off(tmp_path):
    with tenant("acme"):
        row = order(NOTE)
        with_loop = "import tests.work_kinds, gateway.loop; gateway.loop.ensure_loop('s31')"
        program = PLANTED.format(bug=with_loop)
        environment = {name: text for name, text in os.environ.items() if name != "ATRIUM_OWNER_DATABASE_URL"}
        with (tmp_path / "log").open("w") as log:
            worker = subprocess.Popen(
                [sys.executable, "-c", program, "serve", "worker", "--concurrency", "2"],
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=log,
                stderr=log,
            )
            try:
                assert wait_until(lambda: Work.objects.get(pk=row.pk).state == Work.State.DONE)
                hang = order(HANG)
                assert wait_until(lambda: len(count_effects()) == STEPS + 2), "it has begun"
                worker.terminate()
                assert worker.wait(30) == 0
            finally:
                worker.kill()
                worker.wait()
        assert Work.objects.get(pk=hang.pk).state == Work.State.QUEUED, "what it had is given back"
    assert "Traceback" not in (tmp_path / "log").read_text()
    with platform():
        assert Process.objects.get(kind="s31").ended_at is not None, "nobody waits for its lease to end"
