"""What the double keeps, and what its verbs answer: (code, data) or (code, message)."""

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

DEFAULT_MODEL = "BAAI/bge-large-zh-v1.5@BAAI"
DATASET_FIELDS = {
    "name", "avatar", "description", "embedding_model", "permission", "chunk_method", "parser_config",
}  # fmt: skip
STEPS = {"slow": 5, "stuck": 10**9}
_numbers = count(1)
Answer = tuple[int, Any]


def new_id() -> str:
    return f"{next(_numbers):032x}"


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@dataclass
class Document:
    dataset: str
    name: str
    content: bytes
    id: str = field(default_factory=new_id)
    run: str = "UNSTART"
    progress: float = 0.0
    message: str = ""
    steps: int = 0
    chunks: list[dict] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "name": self.name, "dataset_id": self.dataset, "run": self.run,
            "progress": self.progress, "progress_msg": self.message, "chunk_count": len(self.chunks),
            "token_count": 7 * len(self.chunks), "size": len(self.content), "unknown_to_the_sdk": 1,
        }  # fmt: skip

    def step(self) -> None:
        """One look at it."""
        if self.run != "RUNNING":
            return
        kind = self.name.partition("-")[0]
        self.steps += 1
        if self.steps < STEPS.get(kind, 2):
            self.progress = 0.4
        elif kind == "fail":
            self.run = "FAIL"
            self.progress = -1
            self.message = "09:00 Task has been received.\n09:01 [ERROR]Internal: no model can read this.\n"
        else:
            self.run = "DONE"
            self.progress = 1.0
            self.message = "09:02 Done."
            texts = [] if kind == "empty" else self.content.decode("utf-8", "replace").split("\n\n")
            self.chunks = [
                {"id": new_id(), "content": text, "document_id": self.id, "positions": [[1 + number] * 5]}
                for number, text in enumerate(texts)
            ]


@dataclass
class Store:
    owners: dict[str, str] = field(default_factory=dict)  # key → account
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    leaks: bool = False  # retrieval gives every account's chunks

    def create_dataset(self, account: str, body: dict[str, Any]) -> Answer:
        if unknown := body.keys() - DATASET_FIELDS:
            return 101, f"Field: <{min(unknown)}> - Message: <Extra inputs are not permitted>"
        name, number = body["name"], 0
        while any(row["name"] == name and row["tenant_id"] == account for row in self.datasets.values()):
            number += 1
            name = f"{body['name']}({number})"
        row = {"id": new_id(), "name": name, "tenant_id": account, "chunk_count": 0}
        row["embedding_model"] = body.get("embedding_model") or DEFAULT_MODEL
        self.datasets[row["id"]] = row
        return 0, row

    def list_datasets(self, account: str, query: dict[str, str]) -> Answer:
        rows = [row for row in self.datasets.values() if row["tenant_id"] == account]
        for name in ("id", "name"):
            if name in query:
                rows = [row for row in rows if row[name] == query[name]]
                if not rows:
                    return 108, f"User '{account}' lacks permission for dataset '{query[name]}'"
        return 0, rows[: int(query.get("page_size", 30))]

    def delete_datasets(self, account: str, ids: list[str] | None) -> Answer:
        own = [pk for pk, row in self.datasets.items() if row["tenant_id"] == account]
        for pk in own if ids is None else ids:
            if pk not in own:
                return 108, f"User '{account}' lacks permission for datasets: '{pk}'"
            del self.datasets[pk]
            self.documents = {key: row for key, row in self.documents.items() if row.dataset != pk}
        return 0, None

    def owns(self, account: str, dataset: str) -> bool:
        return self.datasets.get(dataset, {}).get("tenant_id") == account

    def upload(self, dataset: str, name: str, content: bytes) -> Answer:
        stem, dot, ending = name.rpartition(".")
        number, wanted = 0, name
        while any(row.name == wanted and row.dataset == dataset for row in self.documents.values()):
            number += 1
            wanted = f"{stem}({number}){dot}{ending}"
        row = Document(dataset, wanted, content)
        self.documents[row.id] = row
        return 0, [row.as_json()]

    def list_documents(self, account: str, dataset: str, query: dict[str, str]) -> Answer:
        if not self.owns(account, dataset):
            return 102, f"You don't own the dataset {dataset}. "
        rows = [row for row in self.documents.values() if row.dataset == dataset]
        for name in ("id", "name"):
            if name in query:
                rows = [row for row in rows if getattr(row, name) == query[name]]
                if not rows:
                    return 102, f"You don't own the document {query[name]}."
        for row in rows:
            row.step()
        return 0, {"total": len(rows), "docs": [row.as_json() for row in rows[:30]]}

    def delete_documents(self, account: str, dataset: str, ids: list[str] | None) -> Answer:
        if not self.owns(account, dataset):
            return 102, f"You don't own the dataset {dataset}. "
        here = [pk for pk, row in self.documents.items() if row.dataset == dataset]
        missing = [pk for pk in ids or here if self.documents.pop(pk, None) is None]
        return (102, f"Documents not found: {missing}") if missing else (0, None)

    def start(self, account: str, dataset: str, ids: list[str]) -> Answer:
        if not self.owns(account, dataset):
            return 102, f"You don't own the dataset {dataset}."
        for pk in ids:
            row = self.documents.get(pk)
            if row is None:
                return 102, f"Documents not found: ['{pk}']"
            if 0 < row.progress < 1:
                return 102, "Can't parse document that is currently being processed"
            row.run, row.progress, row.steps, row.chunks = "RUNNING", 0.0, 0, []
        return 0, None

    def stop(self, account: str, dataset: str, ids: list[str]) -> Answer:
        for pk in ids:
            row = self.documents.get(pk)
            if row is None or not self.owns(account, dataset):
                return 102, f"You don't own the document {pk}."
            if row.progress in (0.0, 1.0, -1):
                return 102, "Can't stop parsing document with progress at 0 or 1"
            row.run, row.progress = "CANCEL", 0.0
        return 0, None

    def list_chunks(self, account: str, dataset: str, document: str, query: dict[str, str]) -> Answer:
        row = self.documents.get(document)
        if row is None or not self.owns(account, dataset):
            return 102, f"You don't own the document {document}."
        size, page = int(query.get("page_size", 30)), int(query.get("page", 1))
        chunks = row.chunks[size * (page - 1) : size * page]
        return 0, {"total": len(row.chunks), "chunks": chunks, "doc": row.as_json()}

    def retrieve(self, account: str, body: dict[str, Any]) -> Answer:
        datasets = body["dataset_ids"]
        for pk in datasets:
            if not self.owns(account, pk):
                return 102, f"You don't own the dataset {pk}."
        if len({self.datasets[pk]["embedding_model"] for pk in datasets}) > 1:
            return 102, "Datasets use different embedding models."
        documents = body.get("document_ids") or list(self.documents)
        asked, found = words_of(body["question"]), []
        for pk in list(self.documents) if self.leaks else documents:
            row = self.documents.get(pk)
            if row is None or (row.dataset not in datasets and not self.leaks):
                continue
            for chunk in row.chunks:
                share = len(asked & words_of(chunk["content"])) / max(len(asked), 1)
                if share >= body.get("similarity_threshold", 0.2):
                    more = {"dataset_id": row.dataset, "document_keyword": row.name, "highlight": ""}
                    scores = {"similarity": share, "term_similarity": share, "vector_similarity": share}
                    found.append(chunk | more | scores)
        found.sort(key=lambda chunk: -chunk["similarity"])
        size = body.get("page_size", 30)
        return 0, {"total": len(found), "chunks": found[:size], "doc_aggs": []}
