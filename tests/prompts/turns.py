"""Turns of a conversation as the tests of services take them."""

from decimal import Decimal

from prompts.drafts import Piece
from prompts.models import Message, Part
from prompts.services import AnswerResult, start_turn

Status = Message.Status


def ask(actor, process_id, text="What is a ledger?", **more):
    return start_turn(actor=actor, text=text, model_name="mock", process_id=process_id, **more)


def said(text: str) -> list[Piece]:
    return [Piece(Part.Kind.TEXT, text)] if text else []


def a_bill(answer: Message, status=Status.DONE, text: str = "An account book.", **changes) -> AnswerResult:
    """The end of the answer's attempt in work, or (request_id) of another one."""
    answer.refresh_from_db()
    figures = {
        "pieces": said(text),
        "request_id": answer.request_id,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost": Decimal("0.00002"),
        "currency": "EUR",
    }
    return AnswerResult(status=status, model_name="mock", **figures | changes)
