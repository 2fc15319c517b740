"""Loaded by every Python process whose PYTHONPATH names this folder: makes server processes ready to be
profiled (see `bench/profiling.py`).
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

INTERVAL_S = 0.001  # the kernel rounds up to its tick, often 4 ms
DEPTH = 60
# words of the command lines of processes that serve
SERVERS = ("bench.passthrough", "mockllm", "web", "gateway")

stacks: Counter = Counter()


def sample(signum, frame):
    """Count the stack that runs now."""
    stack = []
    while frame is not None and len(stack) < DEPTH:
        stack.append(frame.f_code)
        frame = frame.f_back
    stacks[tuple(stack)] += 1


def start(signum, frame):
    """SIGUSR1: forget and sample from now on."""
    stacks.clear()
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)


def label(code):
    """module:function of a code object, the path without what all share."""
    path = code.co_filename
    for mark in ("site-packages/", "lib/python3"):
        path = path.rpartition(mark)[2] or path
    return f"{path.removeprefix(f'{Path.cwd()}/')}:{code.co_qualname}"


def stop(signum, frame):
    """SIGUSR2: write the profile, as a table and as folded stacks."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    total, own, below = sum(stacks.values()), Counter(), Counter()
    for stack, count in stacks.items():
        own[label(stack[0])] += count
        for name in {label(code) for code in stack}:
            below[name] += count
    lines = [f"{total} samples, evenly spaced in CPU time", "", "own %   function"]
    lines += [f"{count / total:6.1%}  {name}" for name, count in own.most_common(60)]
    lines += ["", "with callees %   function"]
    lines += [f"{count / total:6.1%}  {name}" for name, count in below.most_common(80)]
    base = Path(os.environ["ATRIUM_PROFILE"]).parent / str(os.getpid())
    Path(f"{base}.txt").write_text("\n".join(lines) + "\n")
    Path(f"{base}.folded").write_text(
        "".join(
            f"{';'.join(label(code) for code in reversed(stack))} {count}\n"
            for stack, count in stacks.items()
        )
    )
    Path(f"{base}.done").touch()


if "ATRIUM_PROFILE" in os.environ and any(word in argument for argument in sys.orig_argv for word in SERVERS):
    signal.signal(signal.SIGPROF, sample)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.signal(signal.SIGUSR1, start)
    signal.signal(signal.SIGUSR2, stop)
    Path(f"{os.environ['ATRIUM_PROFILE']}.{os.getpid()}.ready").touch()
