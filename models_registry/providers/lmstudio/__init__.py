"""LM Studio on this machine."""

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import LOCAL, OpenAICompatible


class LMStudio(OpenAICompatible):
    kind = "lmstudio"
    label = "LM Studio"
    base_url = "http://127.0.0.1:1234/v1"
    location = Location.LOCAL
    is_found_locally = True
    timeouts = LOCAL
    takes_tokens = False
    gives_several_answers = False
    kept_formats = frozenset({"json_schema"})
