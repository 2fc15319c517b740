"""What S28 asks: each fault of the mock's catalogue, in each form in which it can be met."""

import os
import random
from dataclasses import dataclass

from tests.doubles.mock_faults import FAULTS, find_fault

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
SEEDS, FORMS_OF_A_FAULT = (3, None) if NIGHT else (1, 2)
MAX_TOKENS = 16
# So that a proper answer fits into the connection's limits, and into three attempts
USUAL = {"flaky": 2, "drip": 0, "drip-header": 5}
FURTHER = ["fault-echo-secret-400", "fault-echo-secret-403", "fault-echo-secret-500", "fault-429-0"]
BREAKING_AFTER_TOKENS = ["500-mid-stream", "hang-mid-stream", "reset-mid-stream", "cut-mid-stream"]
CHAT, EMBEDDINGS, RERANK, TEXTS = "chat/completions", "embeddings", "rerank", "completions"
MESSAGES = "messages"
# These break nothing but the chat's own shape
OF_THE_CHAT = {"cut-tool-call", "no-choices", "null-content", "thinks", "thinks-aloud", "cached-over-prompt"}
# and what else needs pieces of text, or an end of a stream in OpenAI's words
OF_TEXTS = {"nul", "split-utf8", "bad-utf8", "long-line", "over-cap", "held-back", "wrong-id", "half-error"}
OF_OPENAI = {
    "wrong-id",
    "double-done",
    "late-chunk",
    "no-done",
    "open-after-done",
    "zero-cost",
    "half-error",
    "malformed-sse",
}
OPENAI, ANTHROPIC = "openai_compatible", "anthropic"  # kinds of connections: what the mock is asked by


@dataclass(frozen=True)
class Ask:
    """One call: a fault, and the way to meet it."""

    number: int
    model: str
    path: str
    is_streamed: bool
    kind: str = OPENAI

    @property
    def fault(self):
        return find_fault(self.model)[0]

    @property
    def name(self) -> str:
        """As the client calls the model."""
        return f"s28-{self.kind}-{self.path.partition('/')[0]}-{self.model}"

    def __str__(self) -> str:
        asked_by = ", Anthropic's protocol" if self.kind == ANTHROPIC else ""
        return f"{self.model} ({self.path}{', streamed' if self.is_streamed else ''}{asked_by})"

    def body(self) -> dict:
        text = f"call number {self.number}"
        if self.path == EMBEDDINGS:
            return {"model": self.name, "input": text}
        if self.path == RERANK:
            return {"model": self.name, "query": "number", "documents": [text]}
        options: dict = {"stream": True} if self.is_streamed else {}
        if self.is_streamed and self.path != MESSAGES:
            options["stream_options"] = {"include_usage": True}
        asked = {"prompt": text} if self.path == TEXTS else {"messages": [{"role": "user", "content": text}]}
        return {"model": self.name, "max_tokens": MAX_TOKENS, **asked, **options}


def list_asks(seed: int, only: str = "") -> list[Ask]:
    """Every fault in every form, in an order of the seed's; `only`: those that are called that."""
    dice = random.Random(seed)
    numbers = dict(USUAL)
    if seed:
        numbers |= {name: dice.randrange(8) for name in BREAKING_AFTER_TOKENS}
    models = [f"fault-{name}" + (f"-{numbers[name]}" if name in numbers else "") for name in FAULTS]
    forms = [form for model in [*models, *FURTHER] for form in forms_of(model)]
    dice.shuffle(forms)
    asks = [Ask(number, *form) for number, form in enumerate(forms)]
    return [ask for ask in asks if only in str(ask)]


def forms_of(model: str) -> list[tuple]:
    """The ways in which a fault can be met."""
    fault = find_fault(model)[0]
    forms: list[tuple] = [
        (model, path, is_streamed) for path in (CHAT, MESSAGES) for is_streamed in (True, False)
    ]
    if fault.name not in OF_THE_CHAT:
        forms += [(model, TEXTS, True), (model, TEXTS, False)]
        if fault.name not in OF_OPENAI:
            forms += [(model, path, is_streamed, ANTHROPIC) for _, path, is_streamed in forms[:4]]
        if fault.name not in OF_TEXTS | OF_OPENAI:
            forms += [(model, EMBEDDINGS, False), (model, RERANK, False)]
    return forms


def sample(asks: list[Ask]) -> list[Ask]:
    """Of each fault so many forms, the next ones of the next fault."""
    if FORMS_OF_A_FAULT is None:
        return asks
    of_model: dict[str, list[Ask]] = {}
    for ask in sorted(asks, key=lambda ask: (ask.model, ask.path, ask.is_streamed, ask.kind)):
        of_model.setdefault(ask.model, []).append(ask)
    chosen = {
        forms[(FORMS_OF_A_FAULT * number + step) % len(forms)]
        for number, forms in enumerate(of_model.values())
        for step in range(FORMS_OF_A_FAULT)
    }
    return [ask for ask in asks if ask in chosen]
