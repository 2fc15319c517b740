"""A gateway's loop on a thread of its own, as commands and workers have it."""

import threading

from foundation import endings
from gateway import loop
from tenants.context import platform
from usage.platform.models import Process


def test_it_ends_with_its_process_and_another_may_follow(unblocked):
    """A thread that went on would miss the database, and say so into a log that is closed."""
    endings.end()  # another test's
    for _time in range(2):
        process = loop.ensure_loop().process_id
        assert _threads()
        endings.end()
        assert not _threads()
        with platform():
            assert Process.objects.get(pk=process).ended_at is not None


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gateway-loop"]
