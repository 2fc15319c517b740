"""Every write to conversations and messages."""

from prompts.services.answers import (
    AnswerResult,
    conclude_if_orphaned,
    conclude_orphaned_answers,
    finish_answer,
    leave_project,
    note_call,
    save_progress,
    write_parts,
)
from prompts.services.conversations import delete_conversation, rename_conversation
from prompts.services.turns import (
    MAX_TEXT_CHARS,
    answer_again,
    continue_answer,
    edit_question,
    start_turn,
)

__all__ = [
    "MAX_TEXT_CHARS",
    "AnswerResult",
    "answer_again",
    "conclude_if_orphaned",
    "conclude_orphaned_answers",
    "continue_answer",
    "delete_conversation",
    "edit_question",
    "finish_answer",
    "leave_project",
    "note_call",
    "rename_conversation",
    "save_progress",
    "start_turn",
    "write_parts",
]
