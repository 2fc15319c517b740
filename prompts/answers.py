"""Writing an answer: a task of the gateway's loop, not of a request. It survives reloads, goes to every
page that looks, and can be stopped.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.utils import translation
from django.utils.functional import Promise

from foundation import told
from foundation.errors import AtriumError, InvalidInput, NotAllowed
from foundation.ids import show_request_id, uuid7
from gateway.calls import Call, Principal
from gateway.deltas import Delta, Reasoning, Text, TextWasReasoning
from gateway.errors import AccessEnded
from gateway.loop import GatewayLoop
from gateway.run import Run, goes_on, run
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import auto
from gateway.steps.authenticate import check_door
from models_registry.kinds import AUTO
from prompts import events
from prompts.asked import bind, read_asked
from prompts.drafts import Draft
from prompts.echo import Echo
from prompts.history import (
    Room,
    Turn,
    find_room,
    find_widest_room,
    join_turns,
    keep_newer_half,
    measure_bytes_per_token,
    read_history,
)
from prompts.knowledge import CUT, Ground, find_ground
from prompts.models import Message
from prompts.policies import looser_policy
from prompts.running import running
from prompts.services import (
    AnswerResult,
    finish_answer,
    leave_project,
    note_call,
    save_progress,
)
from tenants.context import in_tenant
from tenants.data_policy import strictest

logger = logging.getLogger(__name__)

PUBLISH_EVERY_S = 0.04
SAVE_EVERY_S = 1.0
SAVE_AGAIN_AFTER_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0)
TRIMMED = "context_trimmed"
STOOD_IN = "stood_in"
REPLACED = "model_replaced"
PROJECT_LEFT = "project_left"
# why “auto” chose the model that answered: templates/prompts/_answer_head.html
AUTO_LISTED, AUTO_CHEAPEST, AUTO_UNPRICED = "auto_listed", "auto_cheapest", "auto_unpriced"


@dataclass(slots=True)
class Answer:
    """An answer in work."""

    slug: str
    message_id: UUID
    user_id: UUID
    model_name: str
    language: str
    call_id: UUID  # of the call in work
    project_id: UUID | None = None  # on which it is booked; None: the default one
    draft: Draft = field(default_factory=Draft)  # all parts so far, with those of what is gone on with
    refused_calls: list[str] = field(default_factory=list)  # their request ids
    notices: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    unpublished_thoughts: list[str] = field(default_factory=list)
    is_listed: bool = False  # among which models “auto” chooses, the project says
    is_saved: bool = True  # the rows have all of it
    has_spoken: bool = False  # there is text of this attempt
    speaker: dict[str, str] = field(default_factory=dict)  # the model that answers, where another was named
    is_speaker_told: bool = True  # to the event stream
    has_hole: bool = False  # an entry of the event stream was lost
    echo: Echo = field(default_factory=Echo)
    call: Call | None = None  # the one in work; None before the first
    ground: Ground | None = None  # the documents that it rests on

    @property
    def key(self) -> tuple[str, str]:
        return self.slug, str(self.message_id)

    @property
    def place(self) -> tuple[str, UUID]:
        """Of its event stream."""
        return self.slug, self.message_id

    @property
    def request_id(self) -> str:
        return show_request_id(self.call_id)


async def write_answer(gateway: GatewayLoop, answer: Answer) -> None:
    """Ask the model and keep, publish and conclude what it says. Never raises."""
    task: Any = asyncio.current_task()
    with translation.override(answer.language or "en"), running(gateway, answer.key, task) as was_stopped:
        try:
            await _begin_stream(gateway, answer)
            result = await _ask(gateway, answer)
        except asyncio.CancelledError:
            task.uncancel()
            result = _result(answer, Message.Status.STOPPED if was_stopped() else Message.Status.INTERRUPTED)
        except AtriumError as exc:
            result = _result(answer, Message.Status.FAILED, exc.code, exc.message)
        except Exception:
            logger.exception("an answer failed")
            message = told.gettext(
                "Something went wrong on our side. Try again; if it stays, report the request id."
            )
            result = _result(answer, Message.Status.FAILED, "internal_error", message)
    await _conclude(gateway, answer, result)


async def _conclude(
    gateway: GatewayLoop,
    answer: Answer,
    result: AnswerResult,
    pauses_s: tuple[float, ...] = SAVE_AGAIN_AFTER_S,
) -> None:
    """Save the result, again and again while the database is away: an answer that stays unfinished locks its
    conversation.
    """
    for pause_s in (*pauses_s, None):
        try:
            await in_tenant(answer.slug, finish_answer, message_id=answer.message_id, result=result)
            break
        except Exception:
            if pause_s is None:
                logger.exception(
                    "an answer could not be saved; its last saved text stays and it will be marked as "
                    "interrupted when this process ends"
                )
                return
            logger.warning(
                "an answer could not be saved; the next try follows in %s s", pause_s, exc_info=True
            )
        await asyncio.sleep(pause_s)
    await events.publish(gateway.redis, answer.slug, answer.message_id, {"end": "1"})


async def _ask(gateway: GatewayLoop, answer: Answer) -> AnswerResult:
    snapshot = await gateway.snapshots.find(answer.slug)
    if snapshot is None:
        raise InvalidInput(told.gettext("This organisation no longer exists."), code="unknown_tenant")
    check_door(snapshot)
    principal = await _find_principal(gateway, snapshot, answer)
    answer.is_listed = bool(snapshot.auto_models_of(principal))
    who = (answer.user_id, principal.project_id)
    wish = await in_tenant(answer.slug, read_asked, answer.message_id, *who)
    principal = bind(wish, principal, snapshot, answer.model_name)
    if answer.model_name == AUTO:
        room = find_widest_room(auto.list_models(principal, snapshot))
    else:
        room = find_room(snapshot.routes.get(answer.model_name))
    route = snapshot.routes.get(answer.model_name)
    ground = await find_ground(gateway, principal, wish, room, route.label if route else answer.model_name)
    if ground is not None:
        await _rest_on(gateway, answer, ground)
        if ground.said:
            return _result(answer, Message.Status.DONE)
    text = answer.draft.text
    is_continued = bool(text) and goes_on(answer.model_name, principal, snapshot)
    answer.echo = Echo(text if is_continued else "")
    turns, is_trimmed = await in_tenant(
        answer.slug,
        read_history,
        answer.message_id,
        answer.user_id,
        room,
        is_continued=is_continued,
        taken_bytes=ground.passages.size_bytes if ground else 0,
    )
    if is_trimmed:
        answer.notices.append(TRIMMED)
    while True:
        asked = _ask_model(gateway, principal, answer, turns, room)
        answer.call = asked.call
        try:
            await _follow(gateway, answer, asked)
        except InvalidInput as exc:
            if exc.code != "context_length_exceeded" or answer.has_spoken:
                raise
            if len(turns) < 2 and not (ground and ground.passages.halve()):
                message = told.gettext(
                    "Even the last question by itself is too long for this model. Shorten it, or choose a "
                    "model with more context."
                )
                raise InvalidInput(message, code=exc.code) from exc
            await _begin_shorter_call(answer, TRIMMED if len(turns) > 1 else CUT)
            turns = keep_newer_half(turns)
            continue
        return _result(answer, Message.Status.DONE)


async def _find_principal(gateway: GatewayLoop, snapshot: TenantSnapshot, answer: Answer) -> Principal:
    """The person, booked on the conversation's project; who is no member there any more, on the default
    one, and is told. Raises AccessEnded, and NotAllowed where data of the project may not go on.
    """
    person = await gateway.snapshots.find_person(snapshot, answer.user_id)
    if person is None or not person.is_active:
        raise AccessEnded
    if answer.project_id is None or person.is_member(answer.project_id):
        return person.act_on(answer.project_id or snapshot.project_id)
    before = snapshot.policy_of(person.act_on(answer.project_id))
    after = snapshot.policy_of(person.act_on(snapshot.project_id))
    if strictest(before, after) != after:
        raise NotAllowed(looser_policy(before), code="data_policy", param="project")
    answer.notices.append(PROJECT_LEFT)
    await in_tenant(answer.slug, leave_project, message_id=answer.message_id, project_id=answer.project_id)
    return person.act_on(snapshot.project_id)


async def _rest_on(gateway: GatewayLoop, answer: Answer, ground: Ground) -> None:
    """Note what was found, and pass on what the house says of it."""
    answer.ground = ground
    answer.notices += ground.notices
    for kind, data in ground.steps:
        answer.draft.add_step(kind, data)
        answer.is_saved = False
    if ground.said:
        _add(answer, ground.said)
        await _publish(gateway, answer)


async def _begin_shorter_call(answer: Answer, notice: str) -> None:
    answer.refused_calls.append(answer.request_id)
    answer.call_id = uuid7()
    if notice not in answer.notices:
        answer.notices.append(notice)
    await in_tenant(answer.slug, note_call, message_id=answer.message_id, request_id=answer.request_id)


def _ask_model(
    gateway: GatewayLoop, principal: Principal, answer: Answer, turns: list[Turn], room: Room | None
) -> Run:
    if answer.ground is not None:
        turns = answer.ground.put_before(turns)
    body: dict[str, Any] = {"model": answer.model_name, "messages": join_turns(turns)}
    if room and answer.model_name != AUTO:  # else as the model that is chosen usually has it
        body["max_tokens"] = room.answer
    return run(principal, body, "chat", request_id=answer.call_id, gateway=gateway)


async def _follow(gateway: GatewayLoop, answer: Answer, asked: Run) -> None:
    """Take in the stream: pieces go to the event stream every 40 ms and to the rows every second."""
    is_over = asyncio.Event()
    publisher = asyncio.create_task(_publish_regularly(gateway, answer, is_over))
    saved_s = time.monotonic()
    try:
        async for delta in asked:
            _note_speaker(answer)
            _take(answer, delta)
            if not answer.is_saved and time.monotonic() - saved_s > SAVE_EVERY_S:
                saved_s = time.monotonic()
                answer.is_saved = True
                await _save_progress(answer)
        _add(answer, answer.echo.let_go())
    finally:
        answer.draft.end_reasoning()
        await asked.aclose()
        is_over.set()  # not cancelled: what it is sending must arrive before what comes after
        await asyncio.gather(publisher, return_exceptions=True)
        await _publish(gateway, answer)


async def _save_progress(answer: Answer) -> None:
    """A database that is away or locked for a moment does not end the answer: the next second tries
    again, and the end tries for minutes.
    """
    first, pieces = answer.draft.unsaved()
    try:
        await in_tenant(answer.slug, save_progress, message_id=answer.message_id, pieces=pieces, first=first)
    except DatabaseError:
        answer.is_saved = False
        logger.warning("the text of an answer so far could not be saved", exc_info=True)
    else:
        answer.draft.note_saved()


def _note_speaker(answer: Answer) -> None:
    """Whom “auto” chose, or who stands in: known with the first piece."""
    route = answer.call.route if answer.call else None
    known = answer.speaker.get("model", answer.model_name)
    if route is not None and route.name != known:
        answer.speaker = {"model": route.name, "label": route.label}
        answer.is_speaker_told = False


def _take(answer: Answer, delta: Delta) -> None:
    if isinstance(delta, Text):
        piece = answer.echo.pass_on(delta.text.replace("\0", ""))  # PostgreSQL keeps no such character
        answer.has_spoken = True
        _add(answer, piece)
    elif isinstance(delta, TextWasReasoning):
        answer.draft.take_back_text()
        answer.echo.begin_anew()
        answer.has_hole = True  # pages begin anew with the next piece
        answer.has_spoken = answer.is_saved = False
    elif isinstance(delta, Reasoning) and (thought := delta.text.replace("\0", "")):
        answer.draft.add_reasoning(thought)
        answer.unpublished_thoughts.append(thought)
        answer.is_saved = False


def _add(answer: Answer, piece: str) -> None:
    if piece:
        answer.draft.add_text(piece)
        answer.unpublished.append(piece)
        answer.is_saved = False


async def _publish_regularly(gateway: GatewayLoop, answer: Answer, is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_EVERY_S):
                await is_over.wait()
        await _publish(gateway, answer)


async def _publish(gateway: GatewayLoop, answer: Answer) -> None:
    """Thoughts come before the text that they led to; where they take turns, pages show them above it."""
    if not answer.is_speaker_told and not answer.has_hole:
        answer.is_speaker_told = True
        _note(answer, arrived=await events.publish(gateway.redis, *answer.place, answer.speaker))
    for name, pieces in (("thinking", answer.unpublished_thoughts), ("text", answer.unpublished)):
        if answer.has_hole and (answer.unpublished or answer.unpublished_thoughts):
            await _begin_stream(gateway, answer)
        elif pieces:
            fields = {name: "".join(pieces)}
            pieces.clear()
            arrived = await events.publish(gateway.redis, *answer.place, fields)
            _note(answer, arrived=arrived)


async def _begin_stream(gateway: GatewayLoop, answer: Answer) -> None:
    """Begin the event stream with all there is so far; also after an entry was lost, so that no reader misses
    a piece.
    """
    answer.unpublished.clear()
    answer.unpublished_thoughts.clear()
    answer.is_speaker_told = True
    told_so_far = [answer.speaker, {"thinking": answer.draft.reasoning}, {"text": answer.draft.text}]
    arrived = await events.begin(gateway.redis, *answer.place, told_so_far)
    _note(answer, arrived=arrived)


def _note(answer: Answer, *, arrived: bool) -> None:
    if not arrived and not answer.has_hole:
        logger.warning(
            "Redis does not take the events of answer %s; its pages follow the row until it does",
            answer.message_id,
        )
    answer.has_hole = not arrived


def _tell_choice(call: Call, is_listed: bool) -> str:
    if is_listed:
        return AUTO_LISTED
    return AUTO_UNPRICED if call.route.price.is_unset else AUTO_CHEAPEST


def _result(
    answer: Answer, status: Message.Status, error_code: str = "", error_message: str | Promise = ""
) -> AnswerResult:
    call = answer.call
    usage = call.usage if call and call.is_settled else None
    model_name = call.route.name if call and answer.has_spoken else answer.model_name
    has_stood_in = model_name != answer.model_name and answer.model_name != AUTO
    if has_stood_in:
        answer.notices = [STOOD_IN, *(notice for notice in answer.notices if notice != REPLACED)]
    elif call and model_name != answer.model_name:
        answer.notices = [_tell_choice(call, answer.is_listed), *answer.notices]
    return AnswerResult(
        pieces=tuple(answer.ground.cite(answer.draft.pieces) if answer.ground else answer.draft.pieces),
        status=status,
        model_name=model_name,
        failed_model_name=answer.model_name if has_stood_in else "",
        request_id=answer.request_id,
        earlier_request_ids=tuple(answer.refused_calls),
        notice=" ".join(answer.notices),
        is_billed=call is None or call.held is None or call.is_settled,
        finish_reason=str(call.finish_reason or "") if call else "",
        error_code=error_code,
        error_message=str(error_message),
        error_words=told.words_of(error_message),
        error_language=(answer.language or "en") if error_message else "",
        input_tokens=usage.total_input if usage else 0,
        output_tokens=usage.total_output if usage else 0,
        cost=call.cost if call and usage else Decimal(0),
        currency=call.route.price.currency if call and usage else "",
        is_estimated=call.is_estimated if call and usage else False,
        bytes_per_token=measure_bytes_per_token(call) if call and usage else None,
    )
