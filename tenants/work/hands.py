"""Who does a claimed piece of work: a process of its own, or a thread.

A process is forked from one in which Django stands already (some 20 ms, where a start of its own takes a
second of CPU). It leads a process group, so that what it has started ends with it, and ends itself when its
worker does.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from importlib import import_module
from multiprocessing.connection import wait
from typing import Protocol
from uuid import UUID

from django.db import connections

from tenants.context import Scope, use_scope
from tenants.work.claims import ClaimLost, Held
from tenants.work.kinds import get_kind
from tenants.work.runs import Run, carry_out

logger = logging.getLogger(__name__)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tenants.work.ground"])
_starting = threading.Lock()  # multiprocessing keeps its list of children for one thread at a time


class Hand(Protocol):
    def wait(self, timeout_s: float) -> bool:
        """Whether it has come to its end."""

    def stop(self) -> None:
        """End it: a process has ended then, a thread is told to."""


def start(held: Held) -> Hand:
    return ProcessHand(held) if held.kind.is_killable else ThreadHand(held)


class ProcessHand:
    def __init__(self, held: Held) -> None:
        module, name = held.kind.run.__module__, held.kind.name
        with _starting:
            self._process = _context.Process(
                target=_work_in_process,
                args=(held.scope, module, name, held.claim, held.work_id, held.others),
                daemon=True,
            )
            self._process.start()

    def wait(self, timeout_s: float) -> bool:
        if not wait([self._process.sentinel], timeout_s):
            return False
        with _starting:
            self._process.join()
        return True

    def stop(self) -> None:
        pid = self._process.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()  # its group may not be there yet
        wait([self._process.sentinel])


def _work_in_process(
    scope: Scope, module: str, kind: str, claim: UUID, work_id: UUID, others: tuple[UUID, ...]
) -> None:
    os.setsid()
    threading.Thread(target=_end_with_worker, daemon=True, name="worker watch").start()
    import_module(module)
    try:
        with use_scope(scope):
            carry_out(Held(work_id, claim, get_kind(kind), scope, others))
    finally:
        connections.close_all()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with_worker() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.killpg(0, signal.SIGKILL)


class ThreadHand:
    """For work that lasts moments, or waits for others most of the time: nothing can end it from outside."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._run: Run | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"work {held.kind.name}")
        self._thread.start()

    def _work(self) -> None:
        try:
            with use_scope(self._held.scope), contextlib.suppress(ClaimLost):
                self._run = Run(self._held)
                self._run.is_stopping = self._is_stopping
                carry_out(self._held, self._run)
        except Exception:
            logger.exception("%s %s: its end could not be written", self._held.kind.name, self._held.work_id)
        finally:
            connections.close_all()

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stop(self) -> None:
        self._is_stopping = True
        if self._run is not None:
            self._run.is_stopping = True
