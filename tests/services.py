"""A pytest plugin that starts the embedded services before Django's settings are read (`-p
tests.services` in pyproject.toml).

Each run has servers of its own in a temporary folder, without fsync; proof rows that need durability start
their own. A run of tests begins with a copy of what `tests.prepared` has made from this code, if it has.
"""

import atexit
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from launcher.embedded import is_healthy
from tests.prepared import copy_to, running

_stack = contextlib.ExitStack()
folder = Path(tempfile.mkdtemp(prefix="atrium-test-"))
_stack.callback(shutil.rmtree, folder, ignore_errors=True)
is_prepared = "pytest" in sys.modules and copy_to(folder)  # the cast has moved in
_stack.enter_context(running(folder))
atexit.register(_stack.close)


@atexit.register
def _say_what_a_dead_server_said() -> None:
    """Runs before its folder is removed: hundreds of tests that found no database say nothing about why."""
    if not is_healthy(folder):
        print("A server of this run has died.", file=sys.stderr)
        for log in sorted((folder / "logs").glob("*.log")):
            print(f"{log}:\n", log.read_text(errors="replace")[-6_000:], file=sys.stderr)
