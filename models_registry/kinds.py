"""The vocabulary of this room, and what is usual for each kind of provider."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from usage.quantities import CLASSES


class ConnectionKind(models.TextChoices):
    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    OLLAMA = "ollama", "Ollama"
    LMSTUDIO = "lmstudio", "LM Studio"
    VLLM = "vllm", "vLLM"
    QWEN = "qwen", "Qwen (Alibaba Cloud)"
    SILICONFLOW = "siliconflow", "SiliconFlow"
    OPENAI_COMPATIBLE = "openai_compatible", _("other server that speaks OpenAI's API")
    EMBEDDED = "embedded", _("embedded runtime")


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


# what a model of a kind may be paid for: the form of its prices asks for these
PRICED_CLASSES: dict[str, tuple[str, ...]] = {
    ModelKind.CHAT: ("input", "cached", "cache_write", "output", "reasoning"),
    ModelKind.EMBEDDING: ("input",),
    ModelKind.RERANK: ("input",),
    ModelKind.IMAGE: ("input", "cached", "output", "images"),
    ModelKind.SPEECH: ("input", "output", "output_audio", "audio_ms"),
    ModelKind.TRANSCRIPTION: ("input", "input_audio", "output", "audio_ms"),
}
AUDIO = "audio"  # the capability of a chat model that hears or speaks


def list_priced_classes(kind: str, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Also those of sound, for a chat model that knows it; in the order of usage.quantities."""
    wanted = {*PRICED_CLASSES[kind]}
    if kind == ModelKind.CHAT and AUDIO in capabilities:
        wanted |= {"input_audio", "output_audio"}
    return tuple(name for name in CLASSES if name in wanted)


class Channel(models.TextChoices):
    STABLE = "stable", _("stable")
    EXPERIMENTAL = "experimental", _("experimental")
    DEPRECATED = "deprecated", _("deprecated")
    RETIRED = "retired", _("retired")


@dataclass(frozen=True, slots=True)
class Usual:
    """What a connection of a kind has unless told otherwise. `key_variable`: where the provider's own tools
    look for the key.
    """

    base_url: str = ""
    location: Location = Location.UNKNOWN
    key_variable: str = ""


USUAL: dict[ConnectionKind, Usual] = {
    ConnectionKind.OPENAI: Usual("https://api.openai.com/v1", Location.US, "OPENAI_API_KEY"),
    ConnectionKind.ANTHROPIC: Usual("https://api.anthropic.com/v1", Location.US, "ANTHROPIC_API_KEY"),
    ConnectionKind.OLLAMA: Usual("http://127.0.0.1:11434/v1", Location.LOCAL),
    ConnectionKind.LMSTUDIO: Usual("http://127.0.0.1:1234/v1", Location.LOCAL),
    ConnectionKind.VLLM: Usual(),
    ConnectionKind.QWEN: Usual(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", Location.OTHER, "DASHSCOPE_API_KEY"
    ),
    ConnectionKind.SILICONFLOW: Usual(
        "https://api.siliconflow.com/v1", Location.OTHER, "SILICONFLOW_API_KEY"
    ),
    ConnectionKind.OPENAI_COMPATIBLE: Usual(),
    ConnectionKind.EMBEDDED: Usual(location=Location.LOCAL),
}
