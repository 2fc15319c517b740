"""`manifest.json` of a model folder: what the model is, who may see it, and where it comes from.

Covers: a folder says what it is, nothing is guessed; whoever is not named does not see it. Unknown keys are
left alone, so that later versions can add some.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "manifest.json"
KINDS = ("chat", "embedding")
EVERYBODY = "platform"
CHANNELS = ("stable", "experimental", "")


class BadManifest(ValueError):
    """The manifest is missing, or says something that cannot be; the text says what."""


@dataclass(frozen=True)
class Manifest:
    """A model's own statement. Token counts are those of its own tokenizer."""

    kind: str
    label: str
    licence: str
    context_window: int  # chat: prompt and completion together; embedding: each text
    visibility: str | tuple[str, ...]  # "platform", or the slugs of the tenants that may see it
    default_max_output_tokens: int = 0  # chat: what to ask for if the user names no limit
    languages: tuple[str, ...] = ()  # that it speaks; empty: not told
    is_demo: bool = False
    channel: str = ""  # whether whoever brings it stands by it: "stable", "experimental"; "": not told
    dimensions: int = 0  # embedding: numbers in a vector
    prefixes: dict[str, str] = field(default_factory=dict)  # embedding: what a text is for → how it begins
    default_prefix: str = ""  # embedding: the key of `prefixes` for who does not say
    origin: dict[str, str] = field(default_factory=dict)

    def is_visible_to(self, tenant: str | None) -> bool:
        """`tenant` is the asker's slug; None for who speaks for no tenant."""
        return self.visibility == EVERYBODY or tenant in self.visibility


def read_manifest(folder: Path) -> Manifest:
    """Raises BadManifest."""
    try:
        value = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise BadManifest(f"There is no {NAME} that says what the model is and who may see it.") from exc
    except (OSError, ValueError) as exc:
        raise BadManifest(f"{NAME} cannot be read: {exc}") from exc
    if not isinstance(value, dict):
        raise BadManifest(f"{NAME} is not a JSON object.")
    return _parse(value)


def _parse(value: dict[str, Any]) -> Manifest:
    kind = value.get("kind")
    if kind not in KINDS:
        raise BadManifest(f"{NAME}: kind must be one of {', '.join(KINDS)}.")
    is_chat = kind == "chat"
    channel = value.get("channel", "")
    if channel not in CHANNELS:
        raise BadManifest(f"{NAME}: channel must be stable or experimental.")
    prefixes = _mapping(value, "prefixes")
    default_prefix = value.get("default_prefix", "")
    if default_prefix and default_prefix not in prefixes:
        raise BadManifest(f"{NAME}: default_prefix must be a key of prefixes.")
    return Manifest(
        kind=kind,
        label=_text(value, "label"),
        licence=_text(value, "licence"),
        visibility=_visibility(value),
        context_window=_count(value, "context_window"),
        default_max_output_tokens=_count(value, "default_max_output_tokens") if is_chat else 0,
        languages=tuple(_texts(value, "languages")),
        is_demo=value.get("is_demo") is True,
        channel=channel,
        dimensions=0 if is_chat else _count(value, "dimensions"),
        prefixes=prefixes,
        default_prefix=default_prefix,
        origin=_mapping(value, "origin"),
    )


def _visibility(value: dict[str, Any]) -> str | tuple[str, ...]:
    if value.get("visibility") == EVERYBODY:
        return EVERYBODY
    return tuple(_texts(value, "visibility", f"“{EVERYBODY}” or a list of tenants"))


def _texts(value: dict[str, Any], name: str, wanted: str = "a list of words") -> list[str]:
    texts = value.get(name, [] if name != "visibility" else None)
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise BadManifest(f"{NAME}: {name} must be {wanted}.")
    return texts


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise BadManifest(f"{NAME}: {name} must be a text.")
    return text


def _count(value: dict[str, Any], name: str) -> int:
    count = value.get(name)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10_000_000:
        raise BadManifest(f"{NAME}: {name} must be an integer from 1 to 10,000,000.")
    return count


def _mapping(value: dict[str, Any], name: str) -> dict[str, str]:
    mapping = value.get(name, {})
    if not isinstance(mapping, dict) or not all(isinstance(text, str) for text in mapping.values()):
        raise BadManifest(f"{NAME}: {name} must be an object of texts.")
    return mapping
