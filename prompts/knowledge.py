"""What an answer rests on: found before the model is asked, in the conversation's collections and in the
files that came with its questions, as far as its person may read them at that moment.

`prompts.passages` says how a model is given it, `prompts.sources` how a page shows it.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from accounts.selectors.people import get_known_user
from foundation.errors import InvalidInput, Unavailable
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.loop import GatewayLoop
from prompts.asked import Asked
from prompts.attachments import list_unread
from prompts.drafts import Piece
from prompts.figures import list_missing, list_unsaid
from prompts.history import Room, Turn, count_room
from prompts.models import Part
from prompts.passages import RULES, Passages, as_searched, find_unmarked, list_cited, number
from prompts.steps import tell_steps
from rag.context import Excerpt, cut_text, excerpt_of, fill, hash_text, read_again, read_whole
from rag.engines import Hit
from rag.searching import Found, search
from rag.selectors import list_visible_collections, list_visible_documents
from tenants.context import in_tenant

COUNT = 8  # passages that are looked for
SHOWN = 5  # where no model reads them
LOOKED_UP = 3  # where an answer names none of what it was given
SEARCHED_BYTES = 12_000  # of passages: more of them distracts more than it tells
SHARE = 0.7  # of a model's room, at most, goes to documents
LEAST_BYTES = 900  # a model with room for less cannot answer from documents
WINDOW_BYTES = 200_000  # of documents for a model whose room nobody knows
# a passage without a word of the question counts from this similarity and, among all, this score on
SIMILAR, LEAST_SCORE = 0.2, 0.1
READ_WITHIN_S, LOOK_EVERY_S = 180.0, 0.25  # files that came with the question
# what the reader is told before the answer: templates/prompts/_message_notice.html
BY_HOUSE, TOO_SMALL, CUT = "said_by_house", "window_too_small", "documents_cut"
CLOSED, UNREAD = "closed", "unread"  # a collection, a file: the answer does without it


@dataclass(slots=True)
class Ground:
    """What was found. `said`: what the house says itself, without asking a model."""

    passages: Passages
    steps: list[tuple[Part.Kind, dict[str, Any]]] = field(default_factory=list)
    said: str = ""
    notices: list[str] = field(default_factory=list)
    question: str = ""  # whose figures an answer may repeat

    def put_before(self, turns: list[Turn]) -> list[Turn]:
        """The turns with the passages in the last one's question, and the rules before all."""
        if not turns or not self.passages.excerpts:
            return turns
        question, *rest = turns[-1]
        wrapped = {**question, "content": self.passages.wrap(question["content"])}
        rules = [{"role": "system", "content": self.passages.rules}]
        return [rules, *turns[:-1], [wrapped, *rest]]

    def cite(self, pieces: list[Piece]) -> Iterator[Piece]:
        """The pieces of an answer with what it cites behind them."""
        yield from pieces
        excerpts = self.passages.excerpts
        text = "".join(piece.text for piece in pieces if piece.kind == Part.Kind.TEXT)
        numbers = list(excerpts) if TOO_SMALL in self.notices else list_cited(text, excerpts)
        is_said_by_house = BY_HOUSE in self.notices
        missing = {} if is_said_by_house else list_missing(text, self.question, excerpts)
        for one in numbers:
            data = {"number": one, **excerpts[one].reference}
            yield Piece(Part.Kind.CITATION, "", data=data | _tell_missing(missing.get(one, [])))
        if not numbers and not is_said_by_house:
            yield from self._name_unnamed(text)

    def _name_unnamed(self, text: str) -> Iterator[Piece]:
        """For an answer that cites nothing: the passage whose words it has, or what it was given to read,
        unless it says that nothing of it answers.
        """
        excerpts = self.passages.excerpts
        said_again = find_unmarked(text, excerpts)
        for one in said_again:
            data = {"number": one, **excerpts[one].reference, "is_unmarked": True}
            unsaid = list_unsaid(text, self.question, excerpts[one])
            yield Piece(Part.Kind.CITATION, "", data=data | _tell_missing(unsaid))
        absent = self.passages.absent
        is_answer = bool(text.strip()) and not (absent and absent in text)
        if is_answer and not said_again:
            for one in list(excerpts)[:LOOKED_UP]:
                data = {"number": one, **excerpts[one].reference, "is_looked_up": True}
                yield Piece(Part.Kind.CITATION, "", data=data)


def _tell_missing(figures: list[str]) -> dict[str, Any]:
    return {"missing_figures": figures} if figures else {}


async def find_ground(
    gateway: GatewayLoop, principal: Principal, asked: Asked, room: Room | None, model_label: str
) -> Ground | None:
    """What to answer from; None where the conversation has no documents. Raises InvalidInput where none of
    the files that came with the question can be read, Unavailable while it takes too long.
    """
    if not asked.is_any:
        return None
    slug, who = principal.tenant, (principal.user_id, principal.project_id)
    if asked.kept is not None:
        excerpts = await in_tenant(slug, _read_kept, *who, asked.kept)
        return Ground(Passages(excerpts, _absent()), question=_questions(asked))
    unread = await _wait_for_files(slug, asked)
    asked = replace(asked, whole=tuple(pk for pk in asked.whole if pk not in unread))
    room_bytes = _count_room(room, asked)
    whole = await in_tenant(slug, _read_whole, *who, asked.whole)
    found = None
    if asked.collections:
        found = await search(
            principal,
            as_searched(asked.question, asked.earlier),
            collections=asked.collections,
            count=COUNT + len(asked.whole),
            source="chat",
            gateway=gateway,
        )
    hits = [hit for hit in found.hits if _is_relevant(hit, asked)] if found else []
    if room_bytes < LEAST_BYTES:
        return _show_alone(asked.policy, found, hits[:SHOWN], model_label, room)
    given = _cut_whole(whole, room_bytes)
    left = min(SEARCHED_BYTES, room_bytes - sum(one.size_bytes for one in given))
    given += await in_tenant(slug, partial(_fill, *who, asked.collections, hits[:COUNT], left))
    passages = Passages(number(given), _absent())
    steps = tell_steps(asked.policy, found, passages, hits)
    ground = Ground(passages, steps, question=_questions(asked))
    if any(one.is_cut for one in given):
        ground.notices.append(CUT)
    if unread:
        ground.notices.append(UNREAD)
    if given and found and found.trace.closed:
        ground.notices.append(CLOSED)
    if not given:
        ground.said = _say_nothing(found)
        ground.notices.append(BY_HOUSE)
    return ground


def _questions(asked: Asked) -> str:
    return f"{asked.earlier}\n{asked.question}"


def _absent() -> str:
    return _("The documents do not say anything about this.")


def _say_nothing(found: Found | None) -> str:
    if found is not None and found.trace.closed and not found.trace.collections:
        return _(
            "The documents that this conversation was to be answered from are gone, or you may no longer "
            "read them. Choose others with #, or take them out to ask without documents."
        )
    return _(
        "The documents do not say anything about this: no passage matches the question. Put it in other "
        "words, or choose other documents with #."
    )


def _count_room(room: Room | None, asked: Asked) -> int:
    """For documents, in bytes, beside the question and the rules."""
    if room is None:
        return WINDOW_BYTES
    whole = count_room(room, asked.bytes_per_token)
    return int(min(whole * SHARE, whole - len(asked.question.encode()) - len(RULES)) - len(RULES))


def _is_relevant(hit: Hit, asked: Asked) -> bool:
    if hit.document_id in asked.whole:
        return False  # it is given as it is
    if hit.word_score > 0:
        return True
    return hit.similarity is not None and hit.similarity >= SIMILAR and hit.score >= LEAST_SCORE


def _show_alone(
    policy: str, found: Found | None, hits: list[Hit], model_label: str, room: Room | None
) -> Ground:
    """What a model that can read too little is not asked about."""
    excerpts = number([excerpt_of(hit) for hit in hits])
    passages = Passages(excerpts, _absent())
    tokens = (room.messages + room.answer) if room else 0
    said = _(
        "%(model)s reads at most %(count)s tokens at once: too few to answer from documents. Choose a model "
        "that reads more."
    ) % {"model": model_label, "count": tokens}
    said += "\n\n" + (
        _("These passages fit the question best: %(marks)s")
        % {"marks": "".join(f"[{one}]" for one in excerpts)}
        if excerpts
        else _("No passage matches the question.")
    )
    steps = tell_steps(policy, found, passages, hits)
    return Ground(passages, steps, said, [BY_HOUSE, TOO_SMALL])


def _cut_whole(whole: list[Excerpt], room_bytes: int) -> list[Excerpt]:
    """As much of each as there is room for, the first one first."""
    given: list[Excerpt] = []
    left = room_bytes
    for one in whole:
        if left < LEAST_BYTES:
            break
        text = cut_text(one.text, left)
        one.is_cut, one.text = len(text) < len(one.text), text
        left -= one.size_bytes
        given.append(one)
    return given


def _read_whole(user_id: UUID, project_id: UUID, ids: tuple[UUID, ...]) -> list[Excerpt]:
    if not ids:
        return []
    return read_whole(list_visible_documents(get_known_user(user_id), project_id), ids)


def _fill(
    user_id: UUID, project_id: UUID, collections: tuple[UUID, ...], hits: list[Hit], left: int
) -> list[Excerpt]:
    if not hits:
        return []
    readable = list_visible_collections(get_known_user(user_id), project_id)
    return fill(readable.filter(pk__in=collections), hits, left)


def _read_kept(user_id: UUID, project_id: UUID, kept: dict[str, Any]) -> dict[int, Excerpt]:
    """The passages that an answer was begun with, by their numbers, as far as they may still be read."""
    references = [one for one in kept.get("passages", []) if one.get("is_given")]
    documents = list_visible_documents(get_known_user(user_id), project_id)
    texts = read_again(documents, references)
    return {
        reference["number"]: _excerpt_from(reference, text)
        for reference, text in zip(references, texts, strict=True)
        if text is not None
    }


def _excerpt_from(reference: dict[str, Any], text: str) -> Excerpt:
    return Excerpt(
        document_id=UUID(reference["document"]),
        collection_id=UUID(reference["collection"]),
        title=reference["title"],
        text=cut_text(text, SEARCHED_BYTES),
        headings=tuple(reference["headings"]),
        page_from=reference["page_from"],
        page_to=reference["page_to"],
        char_from=reference["char_from"],
        char_to=reference["char_to"],
        sha256=hash_text(text),
    )


async def _wait_for_files(slug: str, asked: Asked) -> frozenset[UUID]:
    """Until the files that came with the question are read; gives those that cannot be. Raises InvalidInput
    where that is all of them, Unavailable.
    """
    if not asked.files:
        return frozenset()
    end_s = time.monotonic() + READ_WITHIN_S
    while True:
        waiting, failed = await in_tenant(slug, list_unread, asked.files)
        if len(failed) == len(asked.files):
            message = _("“%(name)s” could not be read. %(reason)s") % {
                "name": str(failed[0]),
                "reason": failed[0].why,
            }
            raise InvalidInput(message, code="document_failed", param="files")
        if not waiting:
            return frozenset(document.pk for document in failed)
        if time.monotonic() > end_s:
            message = _("“%(name)s” is still being read. Ask again in a few minutes.") % {
                "name": str(waiting[0])
            }
            raise Unavailable(message, code="document_waits")
        await asyncio.sleep(LOOK_EVERY_S)
