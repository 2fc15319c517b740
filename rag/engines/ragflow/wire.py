"""RAGFlow's SDK on our own way out.

Guards against: requests without end (the SDK's have no timeout), other hosts and private networks (the egress
guard), errors that have lost their code, fields that nobody meant to send, and deleting everything: to
RAGFlow, no ids are all ids. Does not cover: what the server itself does with a request that is allowed here.
"""

import json as json_module
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from ragflow_sdk import RAGFlow

from foundation.egress import EgressPolicy, client
from rag.engines.ragflow.errors import clear_errors, read_envelope
from tenants.sealing import Secret

ID = r"[A-Za-z0-9_-]{1,64}"
RETRIEVAL = {
    "question", "dataset_ids", "document_ids", "page", "page_size", "similarity_threshold",
    "vector_similarity_weight", "top_k", "keyword",
}  # fmt: skip
PAGES = {"page", "page_size", "orderby", "desc", "id", "name", "keywords"}
# what may be asked, and with which fields; of those of `EXPLICIT`, ids that must be named
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/datasets"): PAGES,
    ("POST", "/datasets"): {"name", "embedding_model", "permission", "chunk_method"},
    ("DELETE", "/datasets"): {"ids"},
    ("GET", rf"/datasets/{ID}/documents"): PAGES | {"create_time_from", "create_time_to"},
    ("POST", rf"/datasets/{ID}/documents"): {"file"},
    ("DELETE", rf"/datasets/{ID}/documents"): {"ids"},
    ("POST", rf"/datasets/{ID}/chunks"): {"document_ids"},
    ("DELETE", rf"/datasets/{ID}/chunks"): {"document_ids"},
    ("GET", rf"/datasets/{ID}/documents/{ID}/chunks"): PAGES,
    ("POST", "/retrieval"): RETRIEVAL,
}
EXPLICIT = ("ids", "dataset_ids", "document_ids")


class Unmeant(RuntimeError):
    """A request that this house never means to make: a mistake of ours."""


class Answer:
    """What the SDK reads: an answer that said that all went well."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def json(self) -> dict[str, Any]:
        return self._body


class Wire(RAGFlow):
    """The SDK's client, whose four verbs go through the egress guard. Used in a `with`, in one thread."""

    def __init__(self, base_url: str, http: httpx.Client) -> None:
        super().__init__("", base_url)  # the key stands in the client's header alone
        self._http = http

    def post(
        self, path: str, json: dict[str, Any] | None = None, stream: bool = False, files: Any = None
    ) -> Answer:
        if files:
            check_meant("POST", path, {"file": True})
            return self._send("POST", path, files=files)
        sent = {key: value for key, value in (json or {}).items() if value is not None}
        check_meant("POST", path, sent)
        return self._send("POST", path, json=sent)

    def get(self, path: str, params: Any = None, json: Any = None) -> Answer:
        sent = {key: value for key, value in (params or {}).items() if value not in (None, "")}
        check_meant("GET", path, sent)
        return self._send("GET", path, params=sent)

    def delete(self, path: str, json: Any) -> Answer:
        check_meant("DELETE", path, json)
        return self._send("DELETE", path, json=json)

    def put(self, path: str, json: Any) -> Answer:
        raise Unmeant(path)

    def _send(self, method: str, path: str, **content: Any) -> Answer:
        with clear_errors():
            response = self._http.request(method, self.api_url + path, **content)
            return Answer(read_envelope(response.status_code, _read_json(response)))


def check_meant(method: str, path: str, fields: Any) -> None:
    """Raises Unmeant for a request that is not in the table, has a field that is not, or names no ids."""
    allowed = next(
        (names for (verb, form), names in ALLOWED.items() if verb == method and re.fullmatch(form, path)),
        None,
    )
    if allowed is None or not isinstance(fields, dict) or not fields.keys() <= allowed:
        raise Unmeant(f"{method} {path}")
    named = [name for name in EXPLICIT if name in fields]
    if method == "DELETE" and not named:
        raise Unmeant(f"{method} {path}: nothing is named")
    for name in named:
        _check_ids(f"{method} {path} {name}", fields[name])


def _check_ids(where: str, ids: Any) -> None:
    if not isinstance(ids, list) or not ids:
        raise Unmeant(f"{where}: no ids are all ids")
    if not all(isinstance(one, str) and re.fullmatch(ID, one) for one in ids):
        raise Unmeant(f"{where}: these are no ids")


def _read_json(response: httpx.Response) -> Any:
    try:
        return json_module.loads(response.content)
    except (ValueError, RecursionError):
        return None


@contextmanager
def open_wire(base_url: str, key: Secret | None, policy: EgressPolicy) -> Iterator[Wire]:
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    with client(policy, headers=headers) as http:
        yield Wire(base_url, http)
