"""A provider for tests: a real HTTP server on this machine that lists the models it is told to list."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Provider:
    """`listed` is what `/v1/models` gives: names or whole entries. `status` and `body` override the answer;
    `seen` keeps the headers. `health` and `props` are what `/health` and `/props` give, if they are there at
    all.
    """

    def __init__(self) -> None:
        self.listed: list[Any] = ["small", "large"]
        self.pages: dict[str, Any] = {}  # by query, in place of `listed`
        self.status = 200
        self.body = None
        self.headers = {}
        self.health: Any = None
        self.props: Any = None
        self.seen: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def _handler(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.seen.append({name.lower(): value for name, value in self.headers.items()})
                provider.paths.append(self.path)
                entries = [
                    {"id": entry, "object": "model"} if isinstance(entry, str) else entry
                    for entry in provider.listed
                ]
                body = (
                    provider.body
                    if provider.body is not None
                    else json.dumps({"object": "list", "data": entries}).encode()
                )
                if provider.pages:
                    body = json.dumps(provider.pages.get(self.path.partition("?")[2], {})).encode()
                is_known = self.path.startswith("/v1/models")
                for path, told in (("/health", provider.health), ("/props", provider.props)):
                    if self.path == path and told is not None:
                        is_known, body = True, told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(provider.status if is_known else 404)
                for name, value in provider.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None: ...

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()
