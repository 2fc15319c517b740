"""Who may use a data directory: one `up` alone, or commands that share the services one of them started.

The kernel drops these locks when their holder ends, also after kill -9: that is what the guardian waits for.
Locks are taken with flock, whose descriptors Python closes in every program that the holder starts.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from launcher import processes
from launcher.errors import ServiceError
from launcher.private_files import read_json, write_json

WAIT_FOR_GUARDIAN_S = 20.0  # longer than a guardian needs to end everything after a kill -9
MUTEX_TIMEOUT_S = 60.0  # longer than a first start with its initdb


def lock_file(data: Path) -> Path:
    return data / "lock"


def _holder_file(data: Path) -> Path:
    return data / "lock.json"


def try_lock(path: Path, kind: int) -> int | None:
    """A descriptor that holds the lock until it is closed, or None when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def try_share(data: Path) -> int | None:
    """Join the commands that use this data directory; None while an `up` (or a guardian clearing up) holds
    it.
    """
    descriptor = try_lock(lock_file(data), fcntl.LOCK_SH)
    if descriptor is not None:
        _note_holder(data)
    return descriptor


def try_become_last(descriptor: int) -> bool:
    """Whether no other process shares the lock any more; then it is held alone."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def take_alone(data: Path) -> int:
    """The descriptor of the lock that makes this process the only user. Raises ServiceError naming the
    process that has it.

    Waits only for a guardian that is still clearing up behind a dead holder.
    """
    deadline = time.monotonic() + WAIT_FOR_GUARDIAN_S
    while (descriptor := try_lock(lock_file(data), fcntl.LOCK_EX)) is None:
        holder = read_json(_holder_file(data))
        pid = holder.get("pid", 0)
        is_living = processes.start_token(pid) == holder.get("token") if pid else False
        if is_living or time.monotonic() > deadline:
            who = f"pid {pid}: {holder.get('command', '')}" if is_living else "another Atrium process"
            raise ServiceError(
                f"The data directory {data} is in use ({who}). Stop that first, or use another directory: "
                "make run DATA=var2 PORT=8001"
            )
        time.sleep(0.1)
    _note_holder(data)
    return descriptor


def _note_holder(data: Path) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:3]])
    write_json(
        _holder_file(data),
        {"pid": os.getpid(), "token": processes.start_token(os.getpid()), "command": command},
    )


@contextlib.contextmanager
def starting(data: Path) -> Iterator[None]:
    """One process at a time decides whether services must be started."""
    deadline = time.monotonic() + MUTEX_TIMEOUT_S
    while (descriptor := try_lock(data / "lock.start", fcntl.LOCK_EX)) is None:
        if time.monotonic() > deadline:
            raise ServiceError(
                f"Another command has been starting the services in {data} for {MUTEX_TIMEOUT_S:.0f} s. Its "
                f"logs are in {data / 'logs'}."
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)
