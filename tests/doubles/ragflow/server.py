"""The double's own socket: the envelope, the keys, the ledger of what was asked, and faults on purpose."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.ragflow.store import Store

DATASETS, DOCUMENTS, CHUNKS, CHUNKS_OF = (
    re.compile(pattern)
    for pattern in (
        r"/datasets",
        r"/datasets/([^/]+)/documents",
        r"/datasets/([^/]+)/chunks",
        r"/datasets/([^/]+)/documents/([^/]+)/chunks",
    )
)


class RagflowServer:
    """A running double. `fault`: what happens instead of an answer, to requests whose path ends with
    `fault_at`: “timeout”, “html”, “truncated”, “false” (code 0, no data), “list” (data of another shape).
    """

    def __init__(self) -> None:
        self.store = Store({"key-acme": "acme", "key-globex": "globex"})
        self.asked: list[tuple[str, str, Any]] = []
        self.fault = ""
        self.fault_at = ""
        self.hangs_s = 0.5
        double = self

        class Handler(_Handler):
            server_state = double

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def count(self, method: str, ending: str) -> int:
        return sum(verb == method and path.endswith(ending) for verb, path, _body in self.asked)

    @property
    def deleted(self) -> list[list[str]]:
        """The ids of each deletion."""
        return [body["ids"] for verb, _path, body in self.asked if verb == "DELETE" and "ids" in body]


@contextmanager
def running_ragflow() -> Iterator[RagflowServer]:
    double = RagflowServer()
    thread = threading.Thread(target=double._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        double._http.shutdown()
        double._http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: RagflowServer

    def log_message(self, *args: Any) -> None:
        """Nothing."""

    def _answer(self) -> None:
        double, address = self.server_state, urlsplit(self.path)
        path, query = address.path.removeprefix("/api/v1"), dict(parse_qsl(address.query))
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self._read_form(raw) if "multipart" in self.headers.get("Content-Type", "") else raw
        if isinstance(body, bytes):
            body = json.loads(body or b"{}")
        double.asked.append((self.command, path, body))
        if double.fault and path.endswith(double.fault_at):
            self._fail(double)
            return
        header = self.headers.get("Authorization", "").split()
        account = double.store.owners.get(header[1]) if len(header) == 2 else None
        if len(header) != 2:
            self._send({"code": 0, "data": False, "message": "`Authorization` can't be empty"})
        elif account is None:
            self._send({"code": 109, "data": False, "message": "Authentication error: API key is invalid!"})
        else:
            code, data = self._route(double.store, account, path, query, body)
            said = {"message": data} if code else {} if data is None else {"data": data}
            self._send({"code": code} | said)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _read_form(self, raw: bytes) -> tuple[str, bytes]:
        head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
        (part,) = BytesParser().parsebytes(head + raw).get_payload()
        return part.get_filename(), part.get_payload(decode=True)

    def _route(self, store: Store, account: str, path: str, query: dict[str, str], body: Any) -> tuple:
        verb = self.command
        if DATASETS.fullmatch(path):
            if verb == "POST":
                return store.create_dataset(account, body)
            if verb == "DELETE":
                return store.delete_datasets(account, body["ids"])
            return store.list_datasets(account, query)
        if found := DOCUMENTS.fullmatch(path):
            if verb == "POST":
                return store.upload(found[1], *body)
            if verb == "DELETE":
                return store.delete_documents(account, found[1], body.get("ids"))
            return store.list_documents(account, found[1], query)
        if found := CHUNKS.fullmatch(path):
            verb = store.start if verb == "POST" else store.stop
            return verb(account, found[1], body["document_ids"])
        if found := CHUNKS_OF.fullmatch(path):
            return store.list_chunks(account, found[1], found[2], query)
        if path == "/retrieval":
            return store.retrieve(account, body)
        return 404, f"Not Found: {path}"

    def _fail(self, double: RagflowServer) -> None:
        if double.fault == "timeout":
            time.sleep(double.hangs_s)
            self.close_connection = True
        elif double.fault == "html":
            self._write(502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html")
        elif double.fault == "truncated":
            self._write(200, b'{"code": 0, "data": {"chunks": [{"id": "')
        else:
            self._send({"code": 0, "data": False if double.fault == "false" else [7]})

    def _send(self, body: dict[str, Any]) -> None:
        self._write(200, json.dumps(body).encode())

    def _write(self, status: int, raw: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
