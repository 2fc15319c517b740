"""Real runtime servers as child processes, with the real demo model."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.runtimes import first_models
from tests.runtimes.forked import ROOT, ForkedServer

MODELS = ROOT / "runtimes" / "models"
TINY = MODELS / "atrium-tiny"
START_TIMEOUT_S = 60.0
TOKEN = "tok-of-this-test-run"
PATIENCE_S = 30.0  # for what happens at once where nothing else runs
SERVER = "from runtimes.ml.server import main; main()"
# The server, which also tells on /health how often its model was run.
COUNTING = """
from runtimes.ml import server, shelf
steps, import_engines, report_one = [], shelf._import_engines, shelf.ModelShelf._report_one
def import_counting_engines(threads):
    engines = import_engines(threads)
    from runtimes.ml import engine
    start_manager = engine._start_manager
    def start_counted(model, *arguments, **options):
        model.register_forward_pre_hook(lambda *_call: steps.append(1))
        return start_manager(model, *arguments, **options)
    engine._start_manager = start_counted
    return engines
shelf._import_engines = import_counting_engines
shelf.ModelShelf._report_one = lambda self, folder: report_one(self, folder) | {"steps": len(steps)}
server.main()
"""


@dataclass
class RuntimeServer:
    """A running server process and the ways to talk to it."""

    url: str
    process: subprocess.Popen | ForkedServer
    openai: OpenAI

    def health(self) -> dict:
        return httpx.get(f"{self.url}/health", timeout=PATIENCE_S).json()

    def wait_until_idle(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until no request is being served and no slot is taken."""
        wait_until(
            lambda: (self.tiny_state()["requests"], self.tiny_state()["active"]) == (0, 0),
            timeout_s,
            "a slot stays taken",
        )

    def wait_for_requests(self, count: int) -> None:
        wait_until(
            lambda: self.tiny_state()["requests"] == count, PATIENCE_S, f"{count} requests do not arrive"
        )

    def count_steps(self) -> int:
        """How often the models were run since the start: once for each token of one answer alone."""
        return self.tiny_state()["steps"]

    def state_of(self, model_id: str) -> str:
        return next(model["state"] for model in self.health()["models"] if model["id"] == model_id)

    def tiny_state(self) -> dict:
        return next(model for model in self.health()["models"] if model["id"] == "atrium-tiny")

    def post(self, body: object) -> httpx.Response:
        """POST /v1/chat/completions with a raw body: for what the client library would not let through."""
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30)

    def ask(self, *messages: str, **options):
        """A chat completion; messages alternate between user and assistant."""
        turns = [
            {"role": "user" if index % 2 == 0 else "assistant", "content": text}
            for index, text in enumerate(messages)
        ]
        return self.openai.chat.completions.create(model="atrium-tiny", messages=turns, **options)

    def answer(self, *messages: str, **options) -> str:
        return self.ask(*messages, **options).choices[0].message.content


def wait_until(condition: Callable[[], bool], timeout_s: float, message: str) -> None:
    """Poll until the condition holds; fail with the message if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)


@contextlib.contextmanager
def run_server(
    *arguments: str, program: str = SERVER, token: str = "", is_forked: bool = True
) -> Iterator[RuntimeServer]:
    """A server that listens (not necessarily ready); ended with SIGTERM, or killed if that does not help. Its
    client knows the token. `program`: Python text; `is_forked=False`: as `up` starts it, torch not imported.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ATRIUM_RUNTIME_TOKEN": token}
    arguments = ("--port", str(port), *arguments)
    if is_forked:
        process = ForkedServer(program, list(arguments), environment)
    else:
        command = [sys.executable, "-m", "runtimes.ml.server", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        with OpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key=token or "unused", max_retries=0, timeout=60
        ) as client:
            server = RuntimeServer(f"http://127.0.0.1:{port}", process, client)
            wait_until(
                lambda: process.poll() is not None or _listens(port),
                START_TIMEOUT_S,
                "the server does not listen",
            )
            yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the models that Atrium ships."""
    return MODELS


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The demo model's folder."""
    return TINY


@pytest.fixture(scope="session")
def start_server():
    """`with start_server("--models", ...) as server:` for a test that needs a server of its own."""
    return run_server


@pytest.fixture(scope="session")
def server() -> Iterator[RuntimeServer]:
    """The demo model as `up` starts it, preloaded; its steps are counted."""
    with run_server("--models", str(MODELS), "--preload", program=COUNTING) as server:
        wait_until(lambda: server.health()["status"] == "ready", START_TIMEOUT_S, "the model does not load")
        yield server


@pytest.fixture(scope="session")
def kinds_server(tmp_path_factory) -> Iterator[RuntimeServer]:
    """With a token, an embedding model that it makes itself, a chat model that only acme may see, and a
    folder that says nothing of itself; one file of a model is not what its recipe says.
    """
    root = tmp_path_factory.mktemp("kinds")
    sources, recipes, models = (root / name for name in ("sources", "recipes", "models"))
    for folder in (sources, models):
        folder.mkdir()
    for name in ("small", "broken"):
        first_models.write_e5s1(sources / f"{name}.e5s1")
        first_models.write_recipe(recipes / name, sources / f"{name}.e5s1")
    (sources / "broken.e5s1").write_bytes(b"something else")
    first_models.write_recipe(recipes / "unfetched", sources / "small.e5s1", origin={"file": "none"})
    for name in ("private", "silent"):
        shutil.copytree(TINY, models / name)
        (models / name / "SHA256SUMS").unlink()
    manifest = json.loads((TINY / "manifest.json").read_text())
    (models / "private" / "manifest.json").write_text(json.dumps(manifest | {"visibility": ["acme"]}))
    (models / "silent" / "manifest.json").unlink()
    folders = ("--models", str(models), "--sources", str(sources), "--make-in", str(models))
    with run_server(*folders, "--recipes", str(recipes), token=TOKEN) as server:
        yield server


@pytest.fixture(scope="session")
def cramped_server(tmp_path_factory) -> Iterator[RuntimeServer]:
    """One slot, one waiting place, one model in memory, no preload; beside two good models lie folders that
    must be refused.
    """
    models = tmp_path_factory.mktemp("models")
    for name in ("atrium-tiny", "second", "pickled", "remote-code", "tampered"):
        shutil.copytree(TINY, models / name)
    (models / "pickled" / "training_args.bin").write_bytes(b"\x80\x04.")
    config = (models / "remote-code" / "config.json").read_text()
    (models / "remote-code" / "config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoModel": "evil.Model"},', 1)
    )
    with (models / "tampered" / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b"\xff")
    with run_server(
        "--models", str(models), "--slots", "1", "--max-waiting", "1", "--max-loaded", "1"
    ) as server:
        yield server
