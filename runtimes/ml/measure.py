"""Measures the demo model on its own tasks, greedily.

    python -m runtimes.ml.measure runtimes/models/atrium-tiny [--show]

All cases are synthetic; `unseen` ones use words or phrases held out of training. They say how well the demo
plays its part, nothing about real work.
"""

import argparse
import json
import logging
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from .corpus import (
    CATEGORIES,
    FALLBACKS,
    INTENTS,
    LANGUAGES,
    PRIORITIES,
    classification_messages,
    draw_dialog,
    draw_out_of_scope,
    draw_ticket,
)
from .corpus.dialogs import DESCRIBE, PHRASES, Dialog
from .corpus.out_of_scope import PHRASES as OUT_OF_SCOPE_PHRASES

logger = logging.getLogger(__name__)
MAX_ANSWER_TOKENS = 96


@dataclass(frozen=True)
class Case:
    """A request, the one right answer, and the figure it counts for."""

    figure: str
    messages: Dialog
    answer: str


class Answerer:
    """The model folder, loaded in fp32 for greedy answers."""

    def __init__(self, folder: Path, *, batch_size: int = 48):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True
        ).eval()
        self.batch_size = batch_size

    def fits(self, messages: Dialog) -> bool:
        """Whether the longest answer still fits into the context behind these messages."""
        prompt = self.tokenizer(self._render(messages), add_special_tokens=False)["input_ids"]
        return len(prompt) + MAX_ANSWER_TOKENS <= self.model.config.max_position_embeddings

    @torch.no_grad()
    def answer(self, requests: list[Dialog]) -> list[str]:
        """One answer per request, in order."""
        answers = []
        for start in range(0, len(requests), self.batch_size):
            texts = [self._render(messages) for messages in requests[start : start + self.batch_size]]
            inputs = self.tokenizer(
                texts,
                return_tensors="pt",
                padding=True,
                add_special_tokens=False,
                return_token_type_ids=False,
            )
            tokens = self.model.generate(**inputs, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
            answers += self.tokenizer.batch_decode(
                tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
            )
        return answers

    def _render(self, messages: Dialog) -> str:
        turns = [{"role": role, "content": content} for role, content in messages]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def draw_cases(seed: int = 4242, count: int = 240) -> Iterable[Case]:
    """All cases: the figures' names are the keys of `measure`'s result."""
    rng = random.Random(seed)  # noqa: S311 - test cases, no secrets
    for split in ("train", "unseen"):
        for _ in range(count):
            ticket = draw_ticket(rng, split)
            yield Case(f"contract_{split}", classification_messages(ticket), ticket.as_contract())
    for language in LANGUAGES:
        yield from _draw_ticket_cases(rng, language, count // 4)
        for intent in INTENTS:
            yield Case(
                f"small_talk_unseen_{language}",
                [("user", intent.phrases[language][-1])],
                intent.answers[language],
            )
        for _ in range(count // 4):
            question, answer = draw_out_of_scope(rng, language, "unseen")
            yield Case(f"fallback_unseen_{language}", [("user", question)], answer)
        for question in OUT_OF_SCOPE_PHRASES["free_questions"][language]:
            yield Case(f"fallback_free_{language}", [("user", question)], FALLBACKS[language])
    yield from _draw_conversation_cases(rng, count)


def _draw_ticket_cases(rng: random.Random, language: str, count: int) -> Iterable[Case]:
    for _ in range(count):
        ticket = draw_ticket(rng, "all", language)
        yield Case(f"reply_{language}", [("user", ticket.text)], ticket.reply())
        yield Case(
            f"reply_{language}",
            [("user", rng.choice(PHRASES["drafts"][language]) + " " + ticket.text)],
            ticket.reply(),
        )
        subject = rng.choice(("category", "priority"))
        question = rng.choice(PHRASES["questions"][subject][language])
        yield Case(
            f"triage_{language}", [("user", f"{question} {ticket.text}")], DESCRIBE[subject](ticket, language)
        )


def _draw_conversation_cases(rng: random.Random, count: int) -> Iterable[Case]:
    """The third and every later answer of drawn conversations, each after the right history."""
    cases = 0
    while cases < count:
        dialog = draw_dialog(rng)
        answers = [index for index, (role, _) in enumerate(dialog) if role == "assistant"]
        for index in answers[2:]:
            cases += 1
            yield Case("later_turns", dialog[:index], dialog[index][1])


def keeps_schema(answer: str) -> bool:
    """True if the answer is a JSON object with exactly the contract's keys and allowed values."""
    try:
        record = json.loads(answer)
    except ValueError:
        return False
    allowed = {"category": CATEGORIES, "priority": PRIORITIES, "language": LANGUAGES}
    return (
        isinstance(record, dict)
        and set(record) == set(allowed)
        and all(record[key] in values for key, values in allowed.items())
    )


def measure(folder: Path, *, show: bool = False) -> dict[str, float]:
    """Shares in [0, 1] of exactly right answers, by figure, and `schema_valid` for the contract. `show`
    prints what went wrong.
    """
    torch.set_num_threads(1)
    answerer = Answerer(folder)
    cases = [case for case in draw_cases() if answerer.fits(case.messages)]
    answers = answerer.answer([case.messages for case in cases])
    right: dict[str, list[bool]] = {}
    for case, answer in zip(cases, answers, strict=True):
        right.setdefault(case.figure, []).append(answer.strip() == case.answer)
        if case.figure.startswith("contract"):
            right.setdefault("schema_valid", []).append(keeps_schema(answer))
        elif show and answer.strip() != case.answer:
            logger.info(
                "%s: %r\n    said %r\n    not  %r", case.figure, case.messages[-1][1], answer, case.answer
            )
    return {figure: round(sum(results) / len(results), 3) for figure, results in right.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the demo model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="print the wrong answers")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.stdout.write(json.dumps(measure(arguments.folder, show=arguments.show), indent=2) + "\n")


if __name__ == "__main__":
    main()
