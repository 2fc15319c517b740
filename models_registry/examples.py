"""How a model is called, ready to copy: with curl, and with OpenAI's client for Python."""

import json
import shlex
from dataclasses import dataclass

from models_registry.kinds import ModelKind
from models_registry.routes import Route

KEY = "$ATRIUM_API_KEY"


@dataclass(frozen=True, slots=True)
class Example:
    title: str
    code: str


def list_examples(route: Route, base_url: str) -> list[Example]:
    """None for a kind that has no address at `/v1`."""
    if route.kind == ModelKind.CHAT:
        messages = [{"role": "user", "content": "Hello!"}]
        return [
            _curl(f"{base_url}/chat/completions", model=route.name, messages=messages),
            _python(
                base_url,
                f"answer = client.chat.completions.create(\n    model={json.dumps(route.name)},\n"
                f"    messages={json.dumps(messages)},\n)\nprint(answer.choices[0].message.content)",
            ),
        ]
    if route.kind == ModelKind.EMBEDDING:
        texts = ["Hello!"]
        return [
            _curl(f"{base_url}/embeddings", model=route.name, input=texts),
            _python(
                base_url,
                f"answer = client.embeddings.create(\n    model={json.dumps(route.name)},\n"
                f"    input={json.dumps(texts)},\n)\nprint(answer.data[0].embedding)",
            ),
        ]
    return []


def _curl(address: str, **body: object) -> Example:
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


def _python(base_url: str, call: str) -> Example:
    code = (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(\n    base_url="{base_url}",\n    api_key=os.environ["ATRIUM_API_KEY"],\n)\n{call}'
    )
    return Example("Python", code)
