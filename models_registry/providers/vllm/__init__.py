"""vLLM, wherever an operator runs it."""

from models_registry.providers.openai_compatible import LOCAL, OpenAICompatible


class VLLM(OpenAICompatible):
    kind = "vllm"
    label = "vLLM"
    timeouts = LOCAL
    knows_cache_salt = True
