"""Qwen by Alibaba Cloud (DashScope), through its door for OpenAI's clients."""

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import OpenAICompatible


class Qwen(OpenAICompatible):
    kind = "qwen"
    label = "Qwen (Alibaba Cloud)"
    base_url = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    location = Location.OTHER
    key_variable = "DASHSCOPE_API_KEY"
    takes_tokens = False
    most_texts = 10  # of its present models; of older ones 25
