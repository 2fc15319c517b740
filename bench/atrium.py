"""The real platform under a bench: `manage.py up` with embedded PostgreSQL (fsync on) and Valkey in a folder
of its own, filled by `bench.seed`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench import machine, profiling
from bench.harness import GATEWAY_CORES, OTHER_CORES, ROOT, BenchError, running, wait_for_http
from launcher.process_plan import find_models

START_S = 180.0
RUNTIME_TOKEN = secrets.token_urlsafe(16)  # so that the embedded runtime can be asked directly
SERVICES = ("postgres", "valkey", "redis-server")


@dataclass(slots=True)
class Platform:
    """A running Atrium. Keys by tenant: `keys` with limits out of reach, `promised` with 1,000 calls a
    minute.
    """

    data: Path
    port: int
    up_pid: int
    keys: dict[str, str] = field(default_factory=dict)
    promised: dict[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> dict[str, Any]:
        """What `up` wrote to run.json."""
        return json.loads((self.data / "run.json").read_text())

    def processes(self) -> list[int]:
        """All processes of this platform: `up` and below, and services that went their own way but name our
        folder.
        """
        roots = [
            self.up_pid,
            *(
                int(entry.name)
                for entry in Path("/proc").iterdir()
                if entry.name.isdigit() and self._names_us(int(entry.name))
            ),
        ]
        return list(dict.fromkeys(pid for root in roots for pid in machine.process_tree(root)))

    def _names_us(self, pid: int) -> bool:
        return pid != os.getpid() and any(str(self.data) in word for word in machine.command_line(pid)[1:])

    def gateway_pids(self) -> list[int]:
        """The processes that serve /v1."""
        return [pid for pid in self.processes() if {"serve", "web"} <= set(machine.command_line(pid))]

    def service_pids(self) -> list[int]:
        """PostgreSQL and Valkey, every process of theirs."""
        return [
            pid
            for pid in self.processes()
            if any(name in " ".join(machine.command_line(pid)[:1]) for name in SERVICES)
        ]

    def place(self) -> None:
        """The gateway on its own core, all the rest on the others."""
        gateway = set(self.gateway_pids())
        if not gateway:
            raise BenchError(
                "`up` runs no process `manage.py serve web`: the bench does not know what to measure"
            )
        for pid in self.processes():
            machine.pin(pid, GATEWAY_CORES if pid in gateway else OTHER_CORES)

    def check_durability(self) -> None:
        """Refuse to measure a database that does not write."""
        with psycopg.connect(self.addresses["owner_database_url"]) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                value = connection.execute(f"SHOW {setting}").fetchone()[0]
                if value != "on":
                    raise BenchError(f"{setting} is {value}: the figures would not count")


def run_inside(data: Path, module: str, **task: Any) -> dict[str, Any]:
    """Run `bench.<module>.main()` inside `manage.py shell` with BENCH_TASK=task; returns its last line, which
    is JSON.

    Where no `up` serves this data directory, the shell starts the embedded services for its own length.
    """
    env = os.environ | {"ATRIUM_DATA": str(data), "BENCH_TASK": json.dumps(task)}
    command = [
        sys.executable,
        "manage.py",
        "shell",
        "-v",
        "0",
        "-c",
        f"from bench.{module} import main; main()",
    ]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        raise BenchError(f"bench.{module} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _wait_for_models(data: Path) -> None:
    """A first start makes the embedded models beside its work, on a core that a bench measures."""
    end = time.monotonic() + START_S
    while find_models(data).to_be_made:
        if time.monotonic() > end:
            raise BenchError(f"the embedded models are not there after {START_S:.0f} s: see {data}/logs")
        time.sleep(1)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def platform(
    upstream_port: int, models: list[str], tenants: int, environment: dict[str, str] | None = None
) -> Iterator[Platform]:
    """A platform with `tenants` tenants `bench-1` …, each with a key, and the mock's models; `environment`:
    further variables of its processes.
    """
    with tempfile.TemporaryDirectory(prefix="atrium-bench-", ignore_cleanup_errors=True) as folder:
        data, port = Path(folder), free_port()
        command = [
            sys.executable,
            "manage.py",
            "up",
            "--no-demo",
            "--data",
            folder,
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        with running(
            *command,
            cores=set(machine.allowed_cores()),
            env=profiling.environment("atrium")
            | {"ATRIUM_RUNTIME_TOKEN": RUNTIME_TOKEN}
            | (environment or {}),
            stdout=sys.stderr,
        ) as process:
            wait_for_http(port, "/healthz/ready", process, ok=(200,), timeout_s=START_S)
            started = Platform(data, port, process.pid)
            started.check_durability()
            slugs = [f"bench-{number}" for number in range(1, tenants + 1)]
            upstream = f"http://127.0.0.1:{upstream_port}/v1"
            made = run_inside(
                data,
                "seed",
                tenants=slugs,
                promised=["promised-1", "promised-2"],
                upstream=upstream,
                models=models,
            )
            started.keys = made["keys"]
            started.promised = made["promised"]
            _wait_for_models(data)
            time.sleep(2)  # notices of the new rows, and whatever starts late
            started.place()
            yield started
