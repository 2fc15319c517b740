"""The machine under a bench: cores, CPU seconds, the load of others. Linux; everything degrades to
"unknown" in a container that hides it.

CPU seconds of a process are the figure to trust on a shared machine; wall-clock figures are comparable inside
one run only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SLICE_NS = 200_000  # EEVDF: wake up earlier among other processes, with no larger share of the CPU
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def allowed_cores() -> list[int]:
    """The cores this process may use, empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def split_cores() -> tuple[set[int], set[int]]:
    """One core for the gateway, the others for everything else. With a single core both get it."""
    cores = allowed_cores()
    if len(cores) < 2:
        return set(cores), set(cores)
    return {cores[-1]}, set(cores[:-1])


def pin(pid: int, cores: set[int]) -> None:
    """Pin every thread of a process; threads and children started later inherit it."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:  # the thread has ended meanwhile
            continue


def shorten_slice() -> bool:
    """Give this process, and all that it starts, a scheduler slice of 0.2 ms (Linux ≥
    6.12). False where that is not possible.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or not Path("/proc/self/sched").exists():
        return False
    attributes = struct.pack("=IIQiIQQQ", 48, 0, 0, 0, 0, SLICE_NS, 0, 0)
    return ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name: [0] state, [1] parent, [11] user ticks, [12]
    system ticks.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pids: Iterable[int], *, with_ended: bool = False) -> float:
    """User and system time of processes, all threads, ended threads included; `with_ended`: and of those that
    they had started and that have ended.
    """
    ticks = 0
    for pid in pids:
        try:
            fields = stat_fields(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(map(int, fields[11 : 15 if with_ended else 13]))
    return ticks / TICKS


def process_tree(root: int) -> list[int]:
    """The process and all its descendants, parents first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int(stat_fields(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    tree = [root]
    for pid in tree:
        tree += parents.get(pid, [])
    return tree


def command_line(pid: int) -> list[str]:
    """The arguments of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def busy_seconds() -> float:
    """CPU seconds used by everything on the machine since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / TICKS


def calibrate() -> float:
    """The best CPU milliseconds of a fixed loop of pure Python: compare it before comparing figures with
    another day or machine.
    """
    best = float("inf")
    for _ in range(20):
        started = time.process_time()
        total = 0
        for i in range(60_000):
            total += i * i % 7
        best = min(best, time.process_time() - started)
    return best * 1000
