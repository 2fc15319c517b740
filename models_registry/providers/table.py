"""The kinds of providers. A new one: copy a folder, add its line here."""

from collections.abc import Iterator

from django.utils.functional import Promise

from models_registry.providers.anthropic import Anthropic
from models_registry.providers.azure import Azure
from models_registry.providers.cohere import Cohere
from models_registry.providers.deepseek import DeepSeek
from models_registry.providers.embedded import Embedded
from models_registry.providers.groq import Groq
from models_registry.providers.llamacpp import LlamaCpp
from models_registry.providers.lmstudio import LMStudio
from models_registry.providers.mistral import Mistral
from models_registry.providers.moonshot import Moonshot
from models_registry.providers.ollama import Ollama
from models_registry.providers.openai import OpenAI
from models_registry.providers.openai_compatible import OpenAICompatible
from models_registry.providers.qwen import Qwen
from models_registry.providers.siliconflow import SiliconFlow
from models_registry.providers.vllm import VLLM
from models_registry.providers.xai import XAI

PROVIDERS: dict[str, OpenAICompatible] = {
    provider.kind: provider
    for provider in (
        OpenAI(),
        Azure(),
        Anthropic(),
        Ollama(),
        LMStudio(),
        LlamaCpp(),
        VLLM(),
        Qwen(),
        SiliconFlow(),
        Mistral(),
        Cohere(),
        XAI(),
        DeepSeek(),
        Moonshot(),
        Groq(),
        OpenAICompatible(),
        Embedded(),
    )
}


def find_provider(kind: str) -> OpenAICompatible:
    """The provider of a kind; one that is no longer known is read like any other server."""
    return PROVIDERS.get(kind, PROVIDERS[OpenAICompatible.kind])


def kind_choices() -> list[tuple[str, str | Promise]]:
    """For form and model fields."""
    return [(kind, provider.label) for kind, provider in PROVIDERS.items()]


def list_local() -> Iterator[OpenAICompatible]:
    """Those that are looked for on this machine at each start."""
    return (provider for provider in PROVIDERS.values() if provider.is_found_locally)


def list_by_key() -> Iterator[OpenAICompatible]:
    """Those that are offered where the environment holds their key."""
    return (provider for provider in PROVIDERS.values() if provider.key_variable)
