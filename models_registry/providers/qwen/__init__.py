"""Qwen by Alibaba Cloud (DashScope), through its door for OpenAI's clients."""

from collections.abc import Mapping

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    OpenAICompatible,
)


class Qwen(OpenAICompatible):
    kind = "qwen"
    label = "Qwen (Alibaba Cloud)"
    base_url = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    location = Location.OTHER
    key_variable = "DASHSCOPE_API_KEY"
    # rerankers stand at another address
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/chat/completions",
        COMPLETIONS: "/completions",
        EMBEDDINGS: "/embeddings",
    }
    takes_tokens = False
    most_texts = 10  # of its present models; of older ones 25
