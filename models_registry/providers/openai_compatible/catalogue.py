"""What a provider says it has: the answer to `GET /models`, read with care."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from foundation.errors import UpstreamError
from foundation.told import gettext as _
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible.prices import names_amounts, read_price
from usage.pricing import Price

UNREAD_PRICE = {"reason": "not_by_tokens"}  # in place of a price that a catalogue names and we do not read
MAX_MODELS = 2_000
MAX_TOKENS = 100_000_000  # a limit above this is a mistake of the provider's
_LIST_NAMES = ("models", "items", "results")  # beside OpenAI's "data"
_ID_NAMES = ("id", "model", "name")
_PAGE_TOKENS = {"next_page_token": "page_token", "nextPageToken": "pageToken"}
_CONTEXT_NAMES = (
    "context_window",
    "max_model_len",
    "context_length",
    "max_context_length",
    "max_input_tokens",
)
_DIGITS = re.compile(r"[0-9]{1,9}")
_OUTPUT_NAMES = ("max_output_tokens", "max_completion_tokens")
# Parts of names by which a kind is told; the first match counts. None: not offered, since no kind of ours
# fits (films, music, documents, and texts that are only continued).
_KINDS_BY_NAME: tuple[tuple[tuple[str, ...], ModelKind | None], ...] = (
    (("rerank", "colbert", "ms-marco"), ModelKind.RERANK),
    (("embed", "bge-", "gte-", "e5-", "voyage-", "minilm", "mpnet", "jina-clip"), ModelKind.EMBEDDING),
    (tuple(f"snowflake-arctic-{size}" for size in ("xs", "s", "m", "l")), ModelKind.EMBEDDING),
    (("whisper", "transcribe", "paraformer", "sensevoice"), ModelKind.TRANSCRIPTION),
    (("tts", "cosyvoice", "orpheus"), ModelKind.SPEECH),
    (("dall-e", "gpt-image", "stable-diffusion", "flux", "imagen", "qwen-image", "wanx"), ModelKind.IMAGE),
    (("moderation", "realtime", "sora", "veo-", "lyria", "mistral-ocr"), None),
    (("davinci", "babbage", "gpt-3.5-turbo-instruct"), None),
)
# What servers say of a model's kind, under one of these names (LiteLLM, also in its `model_info`, LM Studio,
# Together, Atrium) or by what comes out (OpenRouter); words that stand here nowhere (`model`, `base`) say
# nothing.
_KIND_NAMES = ("mode", "type", "kind")
_KINDS_BY_WORD: dict[str, ModelKind | None] = {
    "chat": ModelKind.CHAT,
    "llm": ModelKind.CHAT,
    "vlm": ModelKind.CHAT,
    "embedding": ModelKind.EMBEDDING,
    "embeddings": ModelKind.EMBEDDING,
    "rerank": ModelKind.RERANK,
    "image": ModelKind.IMAGE,
    "image_generation": ModelKind.IMAGE,
    "speech": ModelKind.SPEECH,
    "audio_speech": ModelKind.SPEECH,
    "transcription": ModelKind.TRANSCRIPTION,
    "audio_transcription": ModelKind.TRANSCRIPTION,
    "moderation": None,
    "realtime": None,
    "video": None,
    "video_generation": None,
}
_KINDS_BY_OUTPUT: dict[str, ModelKind] = {
    "image": ModelKind.IMAGE,
    "embeddings": ModelKind.EMBEDDING,
    "rerank": ModelKind.RERANK,
    "audio": ModelKind.SPEECH,
    "speech": ModelKind.SPEECH,
    "transcription": ModelKind.TRANSCRIPTION,
}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One entry of a catalogue; what the provider does not say is None."""

    name: str
    kind: ModelKind
    label: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    is_stable: bool = False  # whoever lists it stands by it, and we by them
    is_deprecated: bool = False  # it answers still
    price: Price | None = None
    is_sold: bool = False  # whoever lists it asks money for it, be that a `price` or what could be none

    def proposal(self) -> dict[str, str] | None:
        """As the registry keeps it beside the model (AbstractModel.listed_price)."""
        if self.price is not None:
            return self.price.snapshot()
        return UNREAD_PRICE if self.is_sold else None


@dataclass(frozen=True, slots=True)
class Catalogue:
    models: list[ListedModel]
    skipped: int
    latency_ms: int = 0
    is_whole: bool = True  # False: there was more than is read; what is missing may still be there


FindKind = Callable[[dict[str, Any], str], ModelKind | None]  # of an entry and its name; None: not offered


def read_catalogue(body: Any, find_kind: FindKind | None = None, *, heeds_channel: bool = False) -> Catalogue:
    """Read a list of models. Raises UpstreamError if it is none; entries that cannot be used are counted as
    skipped. `find_kind`: for providers that say it in their own way; else a usual field does, or a model's
    name. `heeds_channel`: what the server calls stable is.
    """
    entries = _find_entries(body)
    if entries is None:
        raise UpstreamError(_("What answers there does not send a list of models."), code="upstream_protocol")
    found: dict[str, ListedModel] = {}
    for entry in entries[:MAX_MODELS]:
        model = _read_entry(entry, find_kind)
        if model is not None:
            if heeds_channel and isinstance(entry, dict) and entry.get("channel") == "stable":
                model = replace(model, is_stable=True)
            found.setdefault(model.name, model)
    is_whole = len(entries) <= MAX_MODELS
    return Catalogue(list(found.values()), len(entries) - len(found), is_whole=is_whole)


def _find_entries(body: Any) -> list[Any] | None:
    """A list of models by itself, or under the usual names; None where there is none. An empty one says
    nothing of what answers, but under OpenAI's name.
    """
    if not isinstance(body, dict):
        return body if body and isinstance(body, list) else None
    if isinstance(body.get("data"), list):
        return body["data"]
    for name in _LIST_NAMES:
        if isinstance(found := body.get(name), list) and found:
            return found
    return [] if body.get("object") == "list" else None  # what an Ollama without models sends


def find_next_page(body: Any, cursor_name: str = "after") -> str:
    """The query of the page that follows; "" where this was the last one."""
    if not isinstance(body, dict):
        return ""
    if body.get("has_more") is True:
        entries = _find_entries(body)
        last = body.get("last_id") or (_name_of(entries[-1]) if entries else None)
        return urlencode({cursor_name: last}) if isinstance(last, str) else ""
    for name, parameter in _PAGE_TOKENS.items():
        if isinstance(token := body.get(name), str) and token:
            return urlencode({parameter: token})
    following = body.get("next")
    return urlsplit(following).query if isinstance(following, str) and len(following) <= 2_000 else ""


def _name_of(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return next((entry[name] for name in _ID_NAMES if entry.get(name) is not None), None)


def _read_entry(entry: Any, find_kind: FindKind | None) -> ListedModel | None:
    name = _name_of(entry)
    entry = entry if isinstance(entry, dict) else {}
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        return None
    kind = find_kind(entry, name) if find_kind else _find_kind(entry, name)
    if kind is None or entry.get("active") is False:  # Groq's word for what cannot be called just now
        return None
    label, top = entry.get("display_name"), entry.get("top_provider")  # the latter: OpenRouter's
    return ListedModel(
        name=name,
        kind=kind,
        label=label[:120] if isinstance(label, str) and label.isprintable() else "",
        context_window=_first_count(entry, _CONTEXT_NAMES),
        max_output_tokens=_first_count(entry, _OUTPUT_NAMES) or _first_count(top, _OUTPUT_NAMES),
        price=read_price(entry),
        is_sold=names_amounts(entry),
        is_deprecated=entry.get("deprecated") is True,
    )


def guess_kind(name: str) -> ModelKind | None:
    """The kind that a provider's name for a model suggests; None where it is of no kind that we know."""
    lowered = name.lower()
    return next(
        (kind for parts, kind in _KINDS_BY_NAME if any(part in lowered for part in parts)), ModelKind.CHAT
    )


def _find_kind(entry: dict[str, Any], name: str) -> ModelKind | None:
    info = entry.get("model_info")
    for place in (entry, info if isinstance(info, dict) else {}):
        for field in _KIND_NAMES:
            if isinstance(word := place.get(field), str) and word.lower() in _KINDS_BY_WORD:
                return _KINDS_BY_WORD[word.lower()]
    outputs = _outputs_of(entry)
    if outputs and "text" not in outputs:
        return next((kind for word, kind in _KINDS_BY_OUTPUT.items() if word in outputs), None)
    return guess_kind(name)


def _outputs_of(entry: dict[str, Any]) -> list[Any]:
    architecture = entry.get("architecture")
    outputs = architecture.get("output_modalities") if isinstance(architecture, dict) else None
    return outputs if isinstance(outputs, list) else []


def _first_count(entry: Any, names: tuple[str, ...]) -> int | None:
    if not isinstance(entry, dict):
        return None
    counts = (read_count(entry.get(name)) for name in names)
    return next((count for count in counts if count is not None), None)


def read_count(value: Any) -> int | None:
    """A number of tokens, also as text or with a fraction of nothing; None for what is none."""
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_TOKENS
    return value if is_count else None
