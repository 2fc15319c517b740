"""OpenAI itself."""

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import ALL_FORMATS, OpenAICompatible


class OpenAI(OpenAICompatible):
    """Its reasoning models know `max_completion_tokens` only."""

    kind = "openai"
    label = "OpenAI"
    base_url = "https://api.openai.com/v1"
    location = Location.US
    key_variable = "OPENAI_API_KEY"
    token_limit_name = "max_completion_tokens"  # noqa: S105
    knows_prompt_cache_key = True
    knows_developer = True
    stores_answers = True
    packs_vectors = True
    takes_top_k = False
    kept_formats = ALL_FORMATS
    vouches_for_strict = True
