"""S13: files and bodies that make much of little are refused, or read, within the bounds of the jail, and
nobody else notices.

Files (tests.proof.bombs) go the way of a document into a collection; each ends with a result or a reason,
within 35 s of CPU and the memory that the jail grants, and costs this process next to nothing. Bodies go the
way of a call.
Does not cover: how much slower others are meanwhile (`python -m bench neighbours`); libraries' own faults of
tomorrow, which the jail is for (`tests/foundation/test_jail.py`).
"""

import os
import resource
import time
from dataclasses import dataclass
from uuid import uuid4

import pytest

from foundation import json_bounds
from foundation.errors import AtriumError, InvalidInput
from foundation.jail import run as jail
from gateway.calls import Principal
from gateway.operations.chat_completions import OPERATION
from rag.parsing.run import LIMITS, parse
from tests.proof.bombs import READ, Bomb, list_bodies, list_bombs

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
pytestmark = pytest.mark.timeout(7_200 if NIGHT else 240)
SAMPLE = (
    "a zip of 350 MB",
    "entities in docx",
    "PDF: a form in itself",
    "parts in parts",
    "brackets in a page",
)
MOST_CPU_S, MOST_OWN_CPU_S = 35.0, 5.0
BODY_CPU_S = 2.0
PRINCIPAL = Principal("acme", uuid4(), uuid4())


@pytest.fixture(autouse=True)
def _own_walls(monkeypatch):
    """bubblewrap's processes are nobody's children: what they cost would be counted nowhere."""
    monkeypatch.setattr(jail, "bubblewrap", lambda: ())


@dataclass(frozen=True)
class End:
    """How a bomb ended: READ or the code of its refusal, and what that cost, in seconds of CPU."""

    code: str
    child_s: float
    own_s: float


def explode(bomb: Bomb) -> End:
    content = bomb.make()
    before, own = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    try:
        parse(content, name="bomb")
        code = READ
    except InvalidInput as exc:
        assert str(exc.message).endswith("."), bomb
        code = exc.code
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    child_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return End(code, child_s, time.process_time() - own)


def list_faults(bombs: list[Bomb]) -> list[str]:
    faults, dearest = [], End("", 0.0, 0.0)
    for bomb in bombs:
        end = explode(bomb)
        dearest = max(dearest, end, key=lambda one: one.child_s)
        if end.code not in bomb.wants:
            faults.append(f"{bomb}: {end.code}, not {sorted(bomb.wants)}")
        if end.child_s > MOST_CPU_S or end.own_s > MOST_OWN_CPU_S:
            faults.append(f"{bomb}: {end.child_s:.1f} s in the jail, {end.own_s:.1f} s here")
        if NIGHT:
            print(f"{bomb}: {end.code}, {end.child_s:.1f} s, {end.own_s:.2f} s here", flush=True)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_000
    if memory > LIMITS.memory_bytes / 1_000_000:
        faults.append(f"a reader had {memory:.0f} MB")
    print(f"\nS13: {len(bombs)} files, the dearest {dearest.child_s:.1f} s of CPU, {memory:.0f} MB at most")
    return faults


def test_no_file_takes_more_than_the_jail_grants():
    bombs = list(list_bombs())
    assert len(bombs) >= 150 and len({bomb.name for bomb in bombs}) == len(bombs)
    some = bombs if NIGHT else [bomb for bomb in bombs if bomb.name in SAMPLE]
    assert len(some) >= len(SAMPLE)
    assert list_faults(some) == []


def find_careless() -> list[str]:
    """Bodies that were taken and must not be, or took too long."""
    found = []
    for name, make, is_refused in list_bodies():
        raw, started = make(), time.process_time()
        try:
            OPERATION.parse(raw, PRINCIPAL, uuid4())
            was_refused = False
        except AtriumError:
            was_refused = True
        cpu_s = time.process_time() - started
        if (is_refused and not was_refused) or cpu_s > BODY_CPU_S:
            found.append(f"{name}: {'refused' if was_refused else 'taken'} after {cpu_s:.1f} s")
    return found


def test_no_body_takes_long_and_what_is_none_is_refused():
    assert find_careless() == []


@pytest.mark.skipif(not NIGHT, reason="by night: it asks a whole house")
def test_the_house_outlives_every_body(house):
    for name, make, is_refused in list_bodies():
        answer = house.post(make())
        assert answer.status_code < 500 and (answer.status_code >= 400 or not is_refused), (name, answer.text)
        good = house.post({"model": "mock", "messages": [{"role": "user", "content": "hi"}]}, "live-two")
        assert good.status_code == 200, f"after {name}"


# -- planted bugs --------------------------------------------------------------------------------------------

UNCOUNTED = (
    "import sys; sys.path[:0] = sys.argv[1:]; from rag.parsing import bounds; "
    "bounds.MOST_ENTRIES = bounds.MOST_UNPACKED_BYTES = 10**18; "
    "from foundation.jail.inside import main; main()"
)


def test_planted_bug_a_reader_that_believes_archives_is_found_out(monkeypatch):
    monkeypatch.setattr(jail, "START", UNCOUNTED)
    assert list_faults([bomb for bomb in list_bombs() if bomb.name == SAMPLE[0]])


def test_planted_bug_bodies_that_nobody_counts_are_found_out(monkeypatch):
    monkeypatch.setattr(json_bounds, "check_value_count", lambda *about: None)
    monkeypatch.setattr("gateway.operations.body.check_value_count", lambda *about: None)
    assert find_careless()
