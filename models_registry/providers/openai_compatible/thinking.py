"""Servers that switch a model's thinking on and off by a field of their own, and want back what was thought
before a call of tools (DeepSeek, Moonshot).
"""

from typing import Any

OFF = {"type": "disabled"}


def with_thinking(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose effort of `none`, which they do not know, is said in their words."""
    if body.get("reasoning_effort") != "none":
        return dict(body)
    written = {name: value for name, value in body.items() if name != "reasoning_effort"}
    return {"thinking": OFF, **written}


def lacks_thoughts(message: dict[str, Any]) -> bool:
    """Whether a message calls tools and does not say what was thought before."""
    return bool(message.get("tool_calls")) and not message.get("reasoning_content")
