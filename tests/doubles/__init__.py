"""Stand-ins for what lies outside the house, each a real local server: the mock upstream `mockllm`
and the faulty network `chaosproxy`.

with running_mockllm() as mock:
    client = openai.OpenAI(base_url=mock.base_url, api_key="sk-any")
"""

from .chaosproxy import ChaosProxy, Trouble, running_chaosproxy
from .handles import MockLLM, running_mockllm

__all__ = ["ChaosProxy", "MockLLM", "Trouble", "running_chaosproxy", "running_mockllm"]
