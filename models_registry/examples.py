"""How a model is called, ready to copy: with curl, and with OpenAI's client for Python."""

import json
import shlex
from dataclasses import dataclass

from models_registry.kinds import ADDRESSES, ModelKind
from models_registry.routes import Route

KEY = "$ATRIUM_API_KEY"
# what a request says beside the model
BODIES: dict[str, dict[str, object]] = {
    ModelKind.CHAT: {"messages": [{"role": "user", "content": "Hello!"}]},
    ModelKind.EMBEDDING: {"input": ["Hello!"]},
    ModelKind.RERANK: {"query": "What is red?", "documents": ["A tomato.", "The sky."]},
}
# what OpenAI's client calls it, and what of the answer is read; it knows no rerankers
CALLS: dict[str, tuple[str, str]] = {
    ModelKind.CHAT: ("chat.completions.create", "choices[0].message.content"),
    ModelKind.EMBEDDING: ("embeddings.create", "data[0].embedding"),
}


@dataclass(frozen=True, slots=True)
class Example:
    title: str
    code: str


def list_examples(route: Route, base_url: str) -> list[Example]:
    """None for a kind that has no address at `/v1`, where `base_url` leads."""
    if route.kind not in ADDRESSES:
        return []
    body = {"model": route.name, **BODIES[route.kind]}
    examples = [_curl(f"{base_url}/{ADDRESSES[route.kind]}", body)]
    if route.kind in CALLS:
        examples.append(_python(base_url, body, *CALLS[route.kind]))
    return examples


def _curl(address: str, body: dict[str, object]) -> Example:
    lines = (
        f"    {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in body.items()
    )
    text = shlex.quote("{\n" + ",\n".join(lines) + "\n  }")
    code = (
        f"curl {address} \\\n"
        f'  -H "Authorization: Bearer {KEY}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d {text}"
    )
    return Example("curl", code)


def _python(base_url: str, body: dict[str, object], call: str, read: str) -> Example:
    arguments = "".join(f"    {name}={json.dumps(value)},\n" for name, value in body.items())
    code = (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(\n    base_url="{base_url}",\n    api_key=os.environ["ATRIUM_API_KEY"],\n)\n'
        f"answer = client.{call}(\n{arguments})\nprint(answer.{read})"
    )
    return Example("Python", code)
