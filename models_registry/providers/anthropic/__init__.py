"""Anthropic, by its own API (Messages): requests, answers and events of its own shape."""

from collections.abc import Mapping, Set
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.anthropic.answer import read_answer, read_stream_event
from models_registry.providers.anthropic.request import (
    find_dropped,
    find_kept_schema,
    write_chat,
    write_count,
)
from models_registry.providers.anthropic.schemas import narrow
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, COUNT_TOKENS, OpenAICompatible
from models_registry.providers.openai_compatible.catalogue import find_next_page
from models_registry.providers.openai_compatible.fields import LOGPROBS, SOUND
from tenants.sealing import Secret

VERSION = "2023-06-01"
TEXT_EVENT = b"event: content_block_delta\n"
END = b"}\n\n"


class Anthropic(OpenAICompatible):
    kind = "anthropic"
    label = "Anthropic"
    base_url = "https://api.anthropic.com/v1"
    location = Location.US
    key_variable = "ANTHROPIC_API_KEY"
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/messages",
        COUNT_TOKENS: "/messages/count_tokens",
    }
    catalogue_path = "/models?limit=1000"
    gives_several_answers = False
    kept_formats = frozenset()  # some, see below
    has_own_events = True
    text_key = b'"text":'
    takes_blocks = True
    refused_fields = LOGPROBS | SOUND

    def auth_headers(self, secret: Secret | None) -> dict[str, str]:
        key = {"x-api-key": secret.reveal()} if secret else {}
        return {**key, "anthropic-version": VERSION}

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        writers = {CHAT_COMPLETIONS: write_chat, COUNT_TOKENS: write_count}
        return writers[operation](body) if operation in writers else body

    def find_dropped(self, body: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
        return find_dropped(body, written)

    def keeps_form(self, wanted: Mapping[str, Any], model: str, capabilities: Set[str]) -> bool:
        """Whatever the model is said to keep: without the schema it is not held to it."""
        return find_kept_schema(wanted, model) is not None

    def vouches_for(self, wanted: Mapping[str, Any]) -> bool:
        """For as much of a schema as it is told."""
        schema = (wanted.get("json_schema") or {}).get("schema")
        return narrow(schema) == schema

    def read_event(self, event: dict[str, Any]) -> dict[str, Any]:
        kind = event.get("type")
        if kind == "message":
            return read_answer(event)
        return event if kind is None else read_stream_event(event)

    def bare_event(self, chunk: bytes) -> bytes:
        """Without its name, which stands in it once more, and the white space that it is padded with."""
        event = chunk.removeprefix(TEXT_EVENT)
        return event[:-3].rstrip(b" ") + END if event.endswith(END) else event

    def find_next_page(self, body: Any) -> str:
        return find_next_page(body, "after_id")
