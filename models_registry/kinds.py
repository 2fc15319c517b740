"""The vocabulary of this room, and what is usual for each kind of provider."""

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _


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
