"""A request to rank documents, checked, and as all providers take it: documents as texts.

Cohere, Jina, vLLM, SiliconFlow and LiteLLM share the fields `query`, `documents`, `top_n` and
`return_documents`; version 2 of Cohere's has the first three. What comes back of a document is the caller's
own, so no provider is asked for it.
"""

from typing import Any

from foundation.told import gettext as _
from gateway.calls import Call
from gateway.operations.body import check, missing, take_out, wrong

MAX_DOCUMENTS = 2_048  # Jina's bound; Cohere advises 1,000
# Some servers cut a long document into pieces, and read the question with each: tokens that no hold foresees.
PIECES = ("max_chunks_per_doc", "overlap_tokens")

CUT = "max_tokens_per_doc"  # of Cohere's newer version, which reads so much of each document


def check_body(call: Call) -> None:
    """Check the fields of the body, and note in the call how many texts are read: the question stands in
    each. Raises InvalidInput.
    """
    body = call.body
    if body.get("query") is None:
        raise missing(body, "query", '"…"', ("question", "text", "prompt"))
    check(body, "query", str)
    if not body["query"].strip():
        raise wrong("query", _("must not be empty"))
    documents = body.get("documents")
    if documents is None:
        raise missing(body, "documents", '["…"]', ("texts", "passages", "input"))
    check(body, "documents", list)
    if not documents:
        raise wrong("documents", _("must not be empty"))
    if len(documents) > MAX_DOCUMENTS:
        raise wrong("documents", _("may hold at most %(limit)s texts") % {"limit": MAX_DOCUMENTS})
    for position, document in enumerate(documents):
        _check_document(document, f"documents[{position}]")
    check(body, "top_n", int)
    if (top_n := body.get("top_n")) is not None and top_n < 1:
        raise wrong("top_n", _("must be at least 1"))
    check(body, "return_documents", bool)
    check(body, CUT, int)
    if (most := body.get(CUT)) is not None and most < 1:
        raise wrong(CUT, _("must be at least 1"))
    call.left_out = [*call.left_out, *take_out(body, PIECES)]
    call.text_count = len(documents)
    call.size_bytes += len(body["query"].encode()) * (len(documents) - 1)


def _check_document(document: Any, name: str) -> None:
    """A text, or an object with one. Empty ones are ranked too, last. Raises InvalidInput."""
    if isinstance(document, str) or (isinstance(document, dict) and isinstance(document.get("text"), str)):
        return
    raise wrong(name, _("must be a string, or an object with “text”"), "invalid_type")


def write_body(call: Call) -> dict[str, Any]:
    """The request with texts alone, and no more answers than there are documents, which some servers
    refuse.
    """
    body = call.body
    written = {
        name: value for name, value in body.items() if value is not None and name != "return_documents"
    }
    written["documents"] = [one if isinstance(one, str) else one["text"] for one in body["documents"]]
    if CUT in written and not call.candidate.provider.cuts_documents:
        del written[CUT]
        call.dropped = [CUT]
    if "top_n" in written:
        written["top_n"] = min(body["top_n"], call.text_count)
    return written
