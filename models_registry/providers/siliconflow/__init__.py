"""SiliconFlow."""

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import OpenAICompatible


class SiliconFlow(OpenAICompatible):
    kind = "siliconflow"
    label = "SiliconFlow"
    base_url = "https://api.siliconflow.com/v1"
    location = Location.OTHER
    key_variable = "SILICONFLOW_API_KEY"
    most_texts = 32
