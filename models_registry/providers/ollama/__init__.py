"""Ollama on this machine."""

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import LOCAL, OpenAICompatible


class Ollama(OpenAICompatible):
    kind = "ollama"
    label = "Ollama"
    base_url = "http://127.0.0.1:11434/v1"
    location = Location.LOCAL
    is_found_locally = True
    timeouts = LOCAL
    takes_tokens = False
