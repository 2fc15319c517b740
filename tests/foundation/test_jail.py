"""Untrusted bytes are read in a jail: each kind of harm ends with a reason, behind the walls that Linux gives
to everybody and behind bubblewrap's.
"""

import json
import os
import socket
import stat
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils.translation import override

from foundation.errors import Unavailable
from foundation.jail import run
from foundation.jail.each import Item, run_jailed_each
from foundation.jail.folders import PREFIX, remove
from foundation.jail.limits import Limits
from foundation.jail.run import (
    CRASHED,
    OUT_OF_MEMORY,
    OUTPUT_TOO_LARGE,
    TIMED_OUT,
    TOO_MUCH_WRITTEN,
    UNREADABLE,
    JailError,
    run_jailed,
)
from foundation.jail.state import describe_jail
from tests import jailed

QUICK = Limits(
    wall_s=3, cpu_s=1, memory_bytes=400_000_000, disk_bytes=5_000_000, output_bytes=2_000_000, most_files=200
)
PATIENT = replace(QUICK, wall_s=60)  # where the clock is no part of what is asked: the machine may be busy
WITHOUT_WALLS = (
    "import sys; sys.path.insert(0, sys.argv[1]); from foundation.jail import walls; "
    "walls.build = lambda **order: None; from foundation.jail.inside import main; main()"
)


@pytest.fixture(params=["own walls", "bubblewrap"])
def walls(request, monkeypatch):
    if request.param == "own walls":
        monkeypatch.setattr(run, "bubblewrap", lambda: ())
    elif not run.bubblewrap():
        pytest.skip("bubblewrap is not installed, or may make no namespaces")
    return request.param


@pytest.fixture(autouse=True)
def _nothing_stays():
    yield
    assert folders() == set()


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*"))


def jail(name: str, limits: Limits = PATIENT, files=None, **arguments) -> bytes:
    assert hasattr(jailed, name)
    return run_jailed(f"tests.jailed:{name}", files=files, arguments=arguments, limits=limits)


def reason(name: str, **arguments) -> str:
    """Why it gave no result; "" where it gave one."""
    try:
        jail(name, **arguments)
    except JailError as exc:
        assert str(exc.message).endswith(".")
        return exc.code
    return ""


def test_a_result_comes_out_and_what_libraries_print_does_not(walls, tmp_path):
    (tmp_path / "b").write_bytes(b"two ")
    files = {"a.txt": b"one ", "b.txt": tmp_path / "b"}
    assert jail("echo", files=files, word="three") == b"one two three"
    assert jail("make_thread") == b"3"
    assert run_jailed(["/bin/cat", "../in/a.txt"], files=files, limits=PATIENT) == b"one "


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("loop", TIMED_OUT),
        ("eat_memory", OUT_OF_MEMORY),
        ("fork", UNREADABLE),
        ("spawn", UNREADABLE),
        ("resolve", UNREADABLE),
        ("crash", CRASHED),
        ("signal_parent", UNREADABLE),
        ("break_down", UNREADABLE),
    ],
)
def test_harm_ends_with_a_reason(walls, name, code):
    assert reason(name) == code


def test_what_does_nothing_ends_by_the_clock(walls):
    assert reason("sleep", limits=Limits(wall_s=1)) == TIMED_OUT


def test_a_function_says_its_own_reason_and_nothing_else(walls):
    assert reason("refuse", code="encrypted") == "encrypted"
    for nonsense in ("Anything it likes <b>", "x" * 500, ""):
        assert reason("refuse", code=nonsense) == CRASHED


def test_what_it_writes_is_bounded(walls):
    assert reason("write_file", size=20_000_000) == TOO_MUCH_WRITTEN
    assert reason("write_files", count=1_000) == TOO_MUCH_WRITTEN
    assert reason("write_file", size=2_000_000) == ""


def test_what_it_says_is_bounded(walls):
    assert reason("flood", size=3_000_000) == OUTPUT_TOO_LARGE
    with pytest.raises(JailError) as refused:
        run_jailed(["/usr/bin/yes"], limits=PATIENT)
    assert refused.value.code == OUTPUT_TOO_LARGE


def test_it_reads_nothing_of_the_house(walls, tmp_path, monkeypatch):
    secret = settings.BASE_DIR / "var" / f"jail-test-{os.getpid()}"
    secret.parent.mkdir(exist_ok=True)
    for path in (secret, tmp_path / "secret"):
        path.write_text("secret")
    try:
        for path in (
            secret,
            tmp_path / "secret",
            "/etc/shadow",
            "/etc/passwd",
            f"/proc/{os.getpid()}/environ",
        ):
            assert reason("read", path=str(path)) == UNREADABLE, path
        for path in (settings.BASE_DIR / "var", tmp_path, "/proc", "/tmp"):
            assert reason("list_folder", path=str(path)) == UNREADABLE, path
        for path in (tmp_path / "new", settings.BASE_DIR / "foundation" / "new", "/tmp/new-of-jail"):
            assert reason("write_elsewhere", path=str(path)) == UNREADABLE and not Path(path).exists()
    finally:
        secret.unlink()


def test_it_reaches_no_port(walls):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reason("connect", port=server.getsockname()[1]) == UNREADABLE


def test_it_starts_without_our_environment_and_descriptors(walls, monkeypatch):
    monkeypatch.setenv("ATRIUM_SECRET_KEY", "secret")
    ends = os.pipe()
    for end in ends:
        os.set_inheritable(end, True)
    environment, descriptors = json.loads(jail("surroundings"))
    for end in ends:
        os.close(end)
    assert not [name for name in environment if name.startswith(("ATRIUM", "DATABASE", "REDIS"))]
    assert len(descriptors) <= 1, "the way by which its result comes out"


def test_a_folder_that_it_locks_is_removed(walls):
    assert jail("lock_folder") == b"done"


def test_what_a_killed_process_left_is_removed(walls):
    left = Path(tempfile.gettempdir()) / f"{PREFIX}999999999-x"
    (left / "in").mkdir(parents=True)
    jail("echo")
    assert left.exists(), "it may be in use on another machine"
    os.utime(left, (0, 0))
    jail("echo")
    assert not left.exists()


def test_several_run_at_once(walls):
    found = []
    threads = [
        threading.Thread(target=lambda word: found.append(jail("echo", word=word)), args=(str(number),))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [b"0", b"1", b"2", b"3"]


def test_of_several_each_is_read_by_itself(walls):
    """A process and limits for each: what goes wrong with one, or what it does to its reader, ends there."""
    tries: list[tuple[str, dict, str]] = [
        ("echo", {"word": "1"}, "one 1"),
        ("read", {"path": "../../in/0/a.txt"}, UNREADABLE),
        ("spoil", {}, "1"),
        ("spoil", {}, "1"),
        ("loop", {}, TIMED_OUT),
        ("eat_memory", {}, OUT_OF_MEMORY),
        ("crash", {}, CRASHED),
        ("refuse", {"code": "encrypted"}, "encrypted"),
        ("fork", {}, UNREADABLE),
        ("signal_parent", {}, UNREADABLE),
        ("resolve", {}, UNREADABLE),
        ("flood", {"size": 3_000_000}, OUTPUT_TOO_LARGE),
        ("write_files", {"count": 1_000}, TOO_MUCH_WRITTEN),
        ("sleep", {}, TIMED_OUT),
        ("echo", {"word": "2"}, "one 2"),
    ]
    items = [Item({"a.txt": b"one "}, {"name": name, **more}) for name, more, _end in tries]
    ends = [
        outcome.code if isinstance(outcome, JailError) else outcome.decode()
        for outcome in run_jailed_each("tests.jailed:obey", items, limits=QUICK)
    ]
    assert ends == [end for _name, _more, end in tries]


def test_the_reason_is_told_in_the_readers_words(walls):
    with override("en"), pytest.raises(JailError) as refused:
        jail("loop", QUICK)
    assert refused.value.message == "Reading it took longer than 3 seconds and was stopped."


def test_a_jail_that_does_not_start_is_no_fault_of_the_file(monkeypatch):
    monkeypatch.setattr(run, "bubblewrap", lambda: ())
    monkeypatch.setattr(run.sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable):
        jail("echo")
    assert not describe_jail().is_working


def test_the_check_says_which_walls_there_are(capsys):
    assert describe_jail().open == ()
    call_command("check", "--deploy", "--fail-level", "CRITICAL")
    assert "atrium.I005" in (said := "".join(capsys.readouterr())) and "Landlock and seccomp" in said


def test_planted_bug_a_jail_without_walls_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "bubblewrap", lambda: ())
    monkeypatch.setattr(run, "START", WITHOUT_WALLS)
    assert describe_jail().open == ("files", "network", "processes")
    assert [reason(name) for name in ("eat_memory", "fork", "spawn", "resolve", "signal_parent")] == [""] * 5
    tests = (
        lambda: test_harm_ends_with_a_reason(None, "fork", UNREADABLE),
        lambda: test_it_reads_nothing_of_the_house(None, tmp_path, monkeypatch),
        lambda: test_it_reaches_no_port(None),
    )
    for test in tests:
        with pytest.raises(AssertionError):
            test()


def test_what_lies_above_a_folder_keeps_its_rights_when_the_folder_cannot_be_removed(tmp_path):
    """It is everybody's folder for temporary files."""
    tmp_path.chmod(0o1777)
    remove(tmp_path / "gone already")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_where_a_link_leads_keeps_its_rights(tmp_path):
    (elsewhere := tmp_path / "elsewhere").mkdir(mode=0o755)
    elsewhere.chmod(0o755)
    (link := tmp_path / "link").symlink_to(elsewhere)
    remove(link)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755 and elsewhere.is_dir()
