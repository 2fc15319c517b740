"""The vocabulary of this room. Kinds of connections: `providers/table.py`."""

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from usage.quantities import CLASSES


class Location(models.TextChoices):
    """Where prompts are processed: policies such as “local only” and “EU only” are kept by it."""

    UNKNOWN = "", _("unknown")
    LOCAL = "local", _("in this installation's own network")
    EU = "eu", _("European Union")
    US = "us", _("United States")
    CN = "cn", _("China")
    OTHER = "other", _("elsewhere")


class ModelKind(models.TextChoices):
    CHAT = "chat", _("chat")
    EMBEDDING = "embedding", _("embedding")
    RERANK = "rerank", _("reranking")
    IMAGE = "image", _("image generation")
    SPEECH = "speech", _("speech output")
    TRANSCRIPTION = "transcription", _("transcription")


# where a model of a kind is called, below /v1; other kinds are not served
ADDRESSES: dict[str, str] = {
    ModelKind.CHAT: "chat/completions",
    ModelKind.EMBEDDING: "embeddings",
    ModelKind.RERANK: "rerank",
}
# what a model of a kind may be paid for: the form of its prices asks for these
PRICED_CLASSES: dict[str, tuple[str, ...]] = {
    ModelKind.CHAT: ("input", "cached", "cache_write", "output", "reasoning"),
    ModelKind.EMBEDDING: ("input",),
    ModelKind.RERANK: ("input",),
    ModelKind.IMAGE: ("input", "cached", "output", "images"),
    ModelKind.SPEECH: ("input", "output", "output_audio", "audio_ms"),
    ModelKind.TRANSCRIPTION: ("input", "input_audio", "output", "audio_ms"),
}
# capabilities of chat models that something here asks for
AUDIO = "audio"  # hears or speaks
TOOLS = "tools"
VISION = "vision"
FILES = "files"
JSON = "json_schema"  # keeps to a schema by itself
# what people call them; others stand as they were entered
ABILITIES = {
    TOOLS: pgettext_lazy("what a model can", "Tools"),
    VISION: pgettext_lazy("what a model can", "Images"),
    FILES: pgettext_lazy("what a model can", "Files"),
    AUDIO: pgettext_lazy("what a model can", "Sound"),
    JSON: pgettext_lazy("what a model can", "JSON by a schema"),
}
AUTO = "auto"  # the name under which the gateway picks a model


def list_priced_classes(kind: str, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Also those of sound, for a chat model that knows it; in the order of usage.quantities."""
    wanted = {*PRICED_CLASSES[kind]}
    if kind == ModelKind.CHAT and AUDIO in capabilities:
        wanted |= {"input_audio", "output_audio"}
    return tuple(name for name in CLASSES if name in wanted)


class TokenLimitName(models.TextChoices):
    """Under which name a server takes the bound of an answer's length."""

    USUAL = "", _("as usual for its kind")
    OLDER = "max_tokens", "max_tokens"
    NEWER = "max_completion_tokens", "max_completion_tokens"


class Channel(models.TextChoices):
    STABLE = "stable", _("stable")
    EXPERIMENTAL = "experimental", _("experimental")
    DEPRECATED = "deprecated", _("deprecated")
    RETIRED = "retired", _("retired")
