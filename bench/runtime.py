"""The embedded runtime: vectors through the gateway beside the runtime asked directly, and its streams beside
`transformers serve --continuous-batching` with the same model and as many threads, in the same run.

The reference needs FastAPI, which the product does not: `pip install --target DIR fastapi`, and
`PYTHONPATH=DIR python -m bench runtime`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import openai

from bench import machine
from bench.atrium import RUNTIME_TOKEN, Platform, free_port
from bench.harness import BenchError, running, wait_for_http
from bench.report import Row
from bench.scene import Scene

CHAT, VECTORS = "SmolLM2-135M-Instruct", "multilingual-e5-small"
MODELS_TIMEOUT_S = 240.0
TEXTS = 32
STREAMS, TOKENS = 8, 64
WITHIN = 1.10
Ask = Callable[[], float]


def bench(scene: Scene) -> list[Row]:
    """Both comparisons, on all cores: the model's work is the cost here."""
    platform = scene.platform
    key = next(iter(platform.keys.values()))
    gateway = openai.OpenAI(base_url=f"http://127.0.0.1:{platform.port}/v1", api_key=key, max_retries=0)
    runtime = openai.OpenAI(
        base_url=f"{platform.addresses['runtime_url']}/v1", api_key=RUNTIME_TOKEN, max_retries=0
    )
    _wait_for_models(gateway)
    with _all_cores(platform):
        return [
            *_vectors(gateway, runtime, scene.rounds),
            *_streams(platform, gateway, runtime, scene.rounds),
        ]


def _wait_for_models(gateway: openai.OpenAI) -> None:
    end = time.monotonic() + MODELS_TIMEOUT_S
    while not {CHAT, VECTORS} <= {model.id for model in gateway.models.list()}:
        if time.monotonic() > end:
            raise BenchError(f"the models are not there after {MODELS_TIMEOUT_S:.0f} s")
        time.sleep(1)


@contextmanager
def _all_cores(platform: Platform) -> Iterator[None]:
    for pid in platform.processes():
        machine.pin(pid, set(machine.allowed_cores()))
    yield
    platform.place()


def _vectors(gateway: openai.OpenAI, runtime: openai.OpenAI, rounds: int) -> list[Row]:
    """Medians of turns taken one after the other."""
    texts = [
        f"Section {number}: how long a delivery of goods from abroad may take." for number in range(TEXTS)
    ]

    def ask(client: openai.OpenAI) -> float:
        began = time.perf_counter()
        client.embeddings.create(model=VECTORS, input=texts)
        return (time.perf_counter() - began) * 1000

    turns = [(ask(gateway), ask(runtime)) for _ in range(3 * rounds + 2)][2:]
    ours, direct = (median(times) for times in zip(*turns, strict=True))
    return [
        Row(
            f"{TEXTS} texts: vectors through the gateway, p50",
            ours,
            "ms",
            reference=direct,
            reference_name="runtime asked directly",
            limit=WITHIN,
            target=f"≤ {WITHIN:.2f} ×",
            judge_ratio=True,
        )
    ]


def _streams(platform: Platform, gateway: openai.OpenAI, runtime: openai.OpenAI, rounds: int) -> list[Row]:
    folder = platform.data / "models" / CHAT
    threads = _threads(platform)
    with _transformers_serve(folder, threads) as reference:
        clients: list[tuple[openai.OpenAI, str]] = [(runtime, CHAT), (gateway, CHAT)]
        if reference is not None:
            clients.append((reference, str(folder)))
        rates = [[_tokens_per_s(*client) for client in clients] for _ in range(rounds + 1)][1:]
    best = [max(column) for column in zip(*rates, strict=True)]
    what = f"{STREAMS} streams × {TOKENS} tokens of {CHAT}: time per token"
    theirs = 1000 / best[2] if reference is not None else None
    return [
        Row(
            what,
            1000 / best[0],
            "ms",
            reference=theirs,
            reference_name="transformers serve" if theirs else "transformers serve (no FastAPI)",
            limit=WITHIN,
            target=f"≤ {WITHIN:.2f} ×",
            judge_ratio=True,
            note=f"{best[0]:.0f} tokens/s, threads: {threads} each",
        ),
        Row(
            "… through the gateway", 1000 / best[1], "ms", reference=1000 / best[0], reference_name="directly"
        ),
    ]


def _tokens_per_s(client: openai.OpenAI, model: str) -> float:
    """Of STREAMS answers at once, by the servers' own counts."""
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: counts.append(_stream(client, model, number)))
        for number in range(STREAMS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < STREAMS or min(counts) < TOKENS // 2:
        raise BenchError(f"answers of {counts} tokens are none to compare")
    return sum(counts) / (time.perf_counter() - began)


def _stream(client: openai.OpenAI, model: str, number: int) -> int:
    topic = ("the sea", "a forest", "winter", "a city", "bread", "music", "the moon", "a river")[number]
    parts = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"Write a long story about {topic}, with many details."}],
        max_tokens=TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    reports = [part.usage for part in parts if part.usage is not None]
    return reports[-1].completion_tokens if reports else 0


def _threads(platform: Platform) -> int:
    """With which `up` has started the runtime: it leaves half of the cores to the rest."""
    lines = map(machine.command_line, platform.processes())
    return next(int(line[line.index("--threads") + 1]) for line in lines if "--threads" in line)


@contextmanager
def _transformers_serve(folder: Path, threads: int) -> Iterator[openai.OpenAI | None]:
    """The reference with the model loaded, or None where FastAPI is not installed."""
    if importlib.util.find_spec("fastapi") is None:
        yield None
        return
    port = free_port()
    command: list[Any] = [
        Path(sys.executable).parent / "transformers",
        "serve",
        folder,
        "--continuous-batching",
        "--port",
        port,
        "--dtype",
        "float32",
    ]
    with running(
        *map(str, command),
        cores=set(machine.allowed_cores()),
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for_http(port, "/health", process, ok=(200,), timeout_s=180)
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0, timeout=300)
