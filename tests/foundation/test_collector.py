"""The collector of cyclic garbage passes over what is loaded, and works on what comes after."""

import gc
import json
import subprocess
import sys
import weakref

import pytest

from foundation.collector import YOUNG_OBJECTS, importing

TELL = "import gc, json; print(json.dumps([gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count()]))"


class Circle:
    def __init__(self):
        self.itself = self


def test_what_comes_later_is_collected():
    with pytest.raises(ImportError), importing():
        raise ImportError  # whatever comes of it
    circle = weakref.ref(Circle())
    held = [[] for _ in range(2 * YOUNG_OBJECTS)]
    assert circle() is None, len(held)


def test_while_something_is_imported_nothing_is_looked_for():
    with importing():
        circle = weakref.ref(Circle())
        held = [[] for _ in range(2 * YOUNG_OBJECTS)]
        assert not gc.isenabled() and circle() is not None, len(held)


def test_a_command_starts_without_it_and_runs_with_it():
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", TELL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    is_on, young, loaded = json.loads(done.stdout)
    assert (is_on, young) == (True, YOUNG_OBJECTS) and loaded > 100_000, done.stderr
