"""An upstream that speaks OpenAI's protocol over a real socket, and misbehaves when its model name says so.

    python -m tests.doubles.mockllm --port 0    prints {"port": …, "pid": …}, serves until it is stopped
    python -m tests.doubles.mockllm --list      the fault catalogue

Serves `GET /v1/models`, `POST /v1/chat/completions` (streamed or not), `POST /v1/embeddings`,
`POST /v1/rerank`, `POST /v1/completions`, `POST /v1/messages` (Anthropic's protocol), and for tests
`GET /_ledger`, `POST /_reset`, `GET /_health`. What a model name means is told in `mock_answers.py` (proper
answers, rules of counting) and `mock_faults.py` (faults).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import orjson
import uvloop

from .mock_answers import EXAMPLES, Script, compose, find_script
from .mock_claude import MessageSpeaker
from .mock_embeddings import DIMENSIONS, embeddings_of, find_dimensions
from .mock_faults import FAULTS, fault_models, find_fault
from .mock_faults_http import FAILED
from .mock_http import Connection, Exchange
from .mock_ledger import Ledger
from .mock_recorded import RECORDINGS, Recorded
from .mock_rerank import is_reranker, relevances_of
from .mock_speech import Speaker, WholeSpeaker
from .mock_texts import TextSpeaker, compose_texts


def _error(exchange: Exchange, status: int, message: str, code: str | None = None) -> None:
    error = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    exchange.reply(status, orjson.dumps(error))


class MockUpstream:
    """Routes, and the choice between a proper answer and a fault."""

    def __init__(self, ledger: Ledger, models: list[str], *, fast: bool = False) -> None:
        self.ledger = ledger
        self.fast = fast
        self.known: dict[bytes, Recorded] = {}
        self.known_messages: dict[bytes, Recorded] = {}
        listed = [
            {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "mock"} for name in models
        ]
        self.models = orjson.dumps({"object": "list", "data": listed})

    def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        path = exchange.path.partition(b"?")[0]
        if path == b"/v1/chat/completions" and exchange.method == b"POST":
            self.chat(exchange, Speaker, self.known)
        elif path == b"/v1/messages" and exchange.method == b"POST":
            self.chat(exchange, MessageSpeaker, self.known_messages)
        elif path == b"/v1/embeddings" and exchange.method == b"POST":
            self.embed(exchange)
        elif path == b"/v1/rerank" and exchange.method == b"POST":
            self.rerank(exchange)
        elif path == b"/v1/completions" and exchange.method == b"POST":
            self.complete(exchange)
        elif path == b"/v1/models" and exchange.method == b"GET":
            exchange.reply(200, self.models)
        elif path == b"/_ledger":
            exchange.reply(200, orjson.dumps(list(self.ledger.entries)))
        elif path == b"/_reset" and exchange.method == b"POST":
            self.ledger.reset()
            FAILED.clear()
            exchange.reply(200, b"{}")
        elif path == b"/_health":
            exchange.reply(200, b'{"status":"ok"}')
        else:
            _error(
                exchange,
                404,
                f"Unknown request URL: {exchange.method.decode()} {path.decode('latin-1')}",
                "unknown_url",
            )

    def chat(self, exchange: Exchange, speak: type[Speaker], known: dict[bytes, Recorded]) -> None:
        """A chat completion or message: at once and without a task where no time has to pass."""
        if recorded := known.get(exchange.body):
            recorded.play(exchange)
            return
        try:
            body = orjson.loads(exchange.body)
            model = body["model"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            _error(exchange, 400, "We could not parse the JSON body of your request.")
            return
        if not self.fast:
            exchange.entry = self.ledger.open(exchange.headers, body)
        fault = find_fault(model)
        script = Script() if fault else find_script(model)
        if script is None:
            _error(exchange, 404, f"The model `{model}` does not exist", "model_not_found")
            return
        speaker = speak(exchange, body, compose(script, body, self.ledger.serial))
        if self.fast and not fault and speaker.answer.pieces and len(known) < RECORDINGS:
            known[exchange.body] = Recorded(speaker)
        if fault:
            exchange.run(fault[0].run(speaker, fault[1]))  # type: ignore[arg-type]
        elif speaker.stream:
            exchange.run(speaker.answer_fully())
        elif delay_s := speaker.whole_delay_s:
            exchange.later(delay_s, speaker.say_whole)
        else:
            speaker.say_whole()

    def embed(self, exchange: Exchange) -> None:
        """Vectors; the faults of HTTP and of the wire are those of the chat."""
        body = orjson.loads(exchange.body)
        exchange.entry = self.ledger.open(exchange.headers, body)
        fault = find_fault(body["model"])
        dimensions = find_dimensions(body["model"])
        if fault:
            vectors = orjson.dumps(embeddings_of(body, DIMENSIONS))
            answer = compose(Script(), body, self.ledger.serial)
            speaker = WholeSpeaker(exchange, body, answer, vectors)
            exchange.run(fault[0].run(speaker, fault[1]))  # type: ignore[arg-type]
        elif dimensions is None:
            _error(exchange, 404, f"The model `{body['model']}` does not exist", "model_not_found")
        else:
            exchange.reply(200, orjson.dumps(embeddings_of(body, dimensions)))

    def rerank(self, exchange: Exchange) -> None:
        """Relevances; the faults are those of embeddings."""
        body = orjson.loads(exchange.body)
        exchange.entry = self.ledger.open(exchange.headers, body)
        if fault := find_fault(body["model"]):
            answer = compose(Script(), body, self.ledger.serial)
            speaker = WholeSpeaker(exchange, body, answer, orjson.dumps(relevances_of(body)))
            exchange.run(fault[0].run(speaker, fault[1]))  # type: ignore[arg-type]
        elif not is_reranker(body["model"]):
            _error(exchange, 404, f"The model `{body['model']}` does not exist", "model_not_found")
        else:
            exchange.reply(200, orjson.dumps(relevances_of(body)))

    def complete(self, exchange: Exchange) -> None:
        """Texts that go on; all faults are the chat's."""
        body = orjson.loads(exchange.body)
        exchange.entry = self.ledger.open(exchange.headers, body)
        fault = find_fault(body["model"])
        script = Script() if fault else find_script(body["model"])
        if script is None:
            _error(exchange, 404, f"The model `{body['model']}` does not exist", "model_not_found")
            return
        speaker = TextSpeaker(exchange, body, compose_texts(script, body, self.ledger.serial))
        exchange.run(fault[0].run(speaker, fault[1]) if fault else speaker.answer_fully())  # type: ignore[arg-type]


async def serve(args: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, or the end of standard input with `--with-parent`."""
    loop = asyncio.get_running_loop()
    ledger = Ledger(args.ledger)
    upstream = MockUpstream(
        ledger, args.models.split(",") if args.models else [*EXAMPLES, *fault_models()], fast=args.fast
    )
    server = await loop.create_server(
        lambda: Connection(upstream.handle, ledger), args.host, args.port, backlog=4096
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if args.with_parent:
        loop.add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 4096) or stop.set())
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--models",
        help="names for /v1/models, separated by commas (default: examples and the whole catalogue)",
    )
    parser.add_argument("--ledger", type=Path, help="append one JSON line per request to this file")
    parser.add_argument(
        "--fast",
        action="store_true",
        help="for benches: no ledger, and bodies seen before are answered from memory",
    )
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    parser.add_argument("--list", action="store_true", help="print the fault catalogue and end")
    args = parser.parse_args()
    if args.list:
        for fault in FAULTS.values():
            print(f"fault-{fault.name:<24} {fault.ends:<7} {fault.says}")
        return
    uvloop.run(serve(args))


if __name__ == "__main__":
    main()
