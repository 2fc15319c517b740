"""The chat's pages. Each answers plain requests with pages and redirects, and htmx with fragments."""

import re
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from foundation.errors import NotFound
from gateway.loop import ensure_loop, submit_to_loop
from models_registry.kinds import AUTO
from prompts import pages
from prompts.answers import REPLACED, Answer, write_answer
from prompts.attachments import MOST_BYTES, drop_files, store_uploads
from prompts.drafts import Draft, pieces_of
from prompts.gone import CollectionsGone
from prompts.models import Conversation, Message
from prompts.news import find_news
from prompts.offers import list_offer
from prompts.running import stop_answer
from prompts.selectors import get_visible_conversation, get_visible_message
from prompts.services import (
    answer_again,
    continue_answer,
    delete_conversation,
    edit_question,
    rename_conversation,
    start_turn,
)
from prompts.streaming import message_events
from tenants.files.paths import upload_path

__all__ = ["message_events"]

upload_path(r"/c/new/", most_bytes=MOST_BYTES)
upload_path(r"/c/[0-9a-f-]+/messages/", most_bytes=MOST_BYTES)


@login_required
@require_safe
def chat_home(request: HttpRequest) -> HttpResponse:
    is_fragment = request.htmx and "project" in request.GET
    return render(
        request,
        "prompts/_offer.html" if is_fragment else "prompts/chat.html",
        pages.chat_context(request, None),
    )


@login_required
@require_safe
def conversation_detail(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = get_visible_conversation(request.user, conversation_id)
    if request.htmx and "at" in request.GET and "before" not in request.GET:
        return _show_branch(request, conversation)
    if request.htmx and "since" in request.GET:
        return _show_news(request, conversation)
    fragments = {"before": "prompts/_messages.html", "project": "prompts/_offer.html"}
    wanted = [fragments[name] for name in fragments if request.htmx and name in request.GET]
    return render(
        request, wanted[0] if wanted else "prompts/chat.html", pages.chat_context(request, conversation)
    )


def _show_branch(request: HttpRequest, conversation: Conversation) -> HttpResponse:
    context = pages.branch_context(request, conversation)
    if context is None:  # the page that shows the branch's end
        return HttpResponse(headers={"HX-Redirect": request.get_full_path()})
    return render(request, "prompts/_branch.html", context)


def _show_news(request: HttpRequest, conversation: Conversation) -> HttpResponse:
    """For a page that shows it: where what is new belongs says the answer's head, in htmx's words."""
    found = find_news(
        conversation,
        since=request.GET["since"],
        shown=request.GET.get("leaf", ""),
        follows="follows" in request.GET,
    )
    if found is None:
        return HttpResponse(status=204)
    place, way = "#thread", "beforeend"
    if found.is_anew:
        (message,) = found.messages
        response, place, way = _show_message(request, message), f"#message-{message.pk}", "outerHTML"
    elif found.messages:
        response = _render_branch(request, found.messages)
    else:
        response = render(request, "prompts/_moved_on.html", {"conversation": conversation})
        place, way = "#notices", "innerHTML"
    response["HX-Retarget"], response["HX-Reswap"] = place, way
    response["X-Leaf"] = str(conversation.leaf_id)
    return response


@login_required
@require_safe
def conversations(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "prompts/_conversation_list.html" if request.htmx else "prompts/conversation_list.html",
        pages.rail_context(request),
    )


@login_required
@require_POST
def conversation_create(request: HttpRequest) -> HttpResponse:
    return _ask(request, None)


@login_required
@require_POST
def message_create(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    return _ask(request, get_visible_conversation(request.user, conversation_id))


def _ask(request: HttpRequest, conversation: Conversation | None) -> HttpResponse:
    model_name = _model_of(request, conversation)
    given = [request.POST.getlist(name) for name in ("uses", "sent", "sent_uses")]
    brought = store_uploads(request.user, request.FILES.getlist("files"), *given)
    try:
        question, answer = start_turn(
            actor=request.user,
            text=request.POST.get("text", ""),
            model_name=model_name,
            process_id=ensure_loop().process_id,
            conversation=conversation,
            parent_id=request.POST.get("parent") or None,
            project_id=request.POST.get("project") or None,
            collection_ids=request.POST.getlist("collections") if "has_collections" in request.POST else None,
            brought=brought,
        )
    except CollectionsGone as exc:
        drop_files(brought.files)
        if not request.htmx:
            raise
        return render(request, "prompts/_collections_gone.html", {"gone": exc.gone}, status=exc.http_status)
    except BaseException:
        drop_files(brought.files)
        raise
    _begin(request, answer, is_replaced=_is_replaced(request, model_name))
    response = _show_turn(request, question, answer, is_new=conversation is None, status=201)
    if conversation is None and request.htmx:
        response["HX-Push-Url"] = reverse("prompts:conversation-detail", args=[answer.conversation_id])
    return response


def _show_turn(
    request: HttpRequest, question: Message, answer: Message, *, is_new: bool = False, status: int = 200
) -> HttpResponse:
    if not request.htmx:
        return redirect("prompts:conversation-detail", answer.conversation_id)
    response = _render_branch(request, [question, answer], is_new=is_new, status=status)
    if not is_new:
        _leave_address(response, answer)
    return response


def _render_branch(request: HttpRequest, messages: list[Message], **more: Any) -> HttpResponse:
    """The end of a branch: what takes its place in the thread, and what belongs to it elsewhere."""
    context = {
        "chat_messages": [pages.show_message(request, message) for message in messages],
        "conversation": messages[-1].conversation,
        "leaf_id": messages[-1].pk,
        "is_new": more.pop("is_new", False),
    }
    return render(request, "prompts/_branch.html", context, **more)


def _leave_address(response: HttpResponse, answer: Message) -> None:
    """The page's address may name another branch (?at=)."""
    response["HX-Replace-Url"] = reverse("prompts:conversation-detail", args=[answer.conversation_id])


def _model_of(request: HttpRequest, conversation: Conversation | None) -> str:
    """Among those that may be used in the project that the call will be booked on. Raises NotFound."""
    project = pages.find_booking(request, conversation, request.POST.get("project", ""))
    wanted = request.POST.get("model", "") or (conversation.model_name if conversation else "")
    name = list_offer(request.user, request.tenant, project).choose(wanted)
    if wanted and not name:
        named = wanted[:80].replace("\0", "")
        label = pages.name_model(named) if named else named
        message = _(
            "“%(model)s” is not offered to you here. Choose another model and send your message again."
        )
        raise NotFound(message % {"model": label}, param="model")
    request.session["model_name"] = name
    return name


def _is_replaced(request: HttpRequest, model_name: str) -> bool:
    """Whether another model answers than the one that was asked for, since that is no longer offered. “auto”
    names none.
    """
    return request.POST.get("model", "") not in ("", AUTO, model_name)


def _begin(request: HttpRequest, message: Message, *, is_replaced: bool) -> None:
    """Let the gateway's loop write the answer. The row is committed: views run outside a transaction."""
    answer = Answer(
        slug=request.tenant.slug,
        message_id=message.pk,
        user_id=request.user.pk,
        project_id=message.conversation.project_id,
        model_name=message.model_name,
        language=get_language(),
        call_id=message.call_id,
        draft=Draft(pieces_of(message)),
        notices=[REPLACED] if is_replaced else [],
    )
    submit_to_loop(lambda gateway: write_answer(gateway, answer), name=f"answer {message.pk}")


@login_required
@require_POST
def conversation_rename(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = rename_conversation(
        conversation=get_visible_conversation(request.user, conversation_id),
        title=request.POST.get("title", ""),
    )
    if not request.htmx:
        return redirect("prompts:conversation-detail", conversation.pk)
    return render(
        request,
        "prompts/_conversation_row.html",
        {"conversation": conversation, "open_id": _open_id(request)},
    )


def _open_id(request: HttpRequest) -> UUID | None:
    """The conversation that the page shows from which htmx asks."""
    found = re.search(r"/c/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", request.htmx.current_url or "")
    return UUID(found[1]) if found else None


@login_required
@require_POST
def conversation_delete(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = get_visible_conversation(request.user, conversation_id)
    deleted_id = conversation.pk
    delete_conversation(conversation=conversation)
    if not request.htmx:
        return redirect("prompts:chat-home")
    response = HttpResponse()
    if _open_id(request) == deleted_id:
        response["HX-Redirect"] = reverse("prompts:chat-home")
    return response


@login_required
@require_safe
def message_markdown(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """A message as it was written, to be copied."""
    message = get_visible_message(request.user, message_id)
    return HttpResponse(message.text, content_type="text/plain; charset=utf-8")


@login_required
@require_safe
def diagram_frame(request: HttpRequest) -> HttpResponse:
    """What draws a diagram. It is the same for each: the page hands the text over."""
    return render(request, "prompts/diagram.html")


@login_required
@require_POST
def message_stop(request: HttpRequest, message_id: UUID) -> HttpResponse:
    message = get_visible_message(request.user, message_id)
    if message.is_unfinished:
        stop_answer(request.tenant.slug, message)
    return _show_message(request, message)


@login_required
@require_POST
def message_edit(request: HttpRequest, message_id: UUID) -> HttpResponse:
    question = get_visible_message(request.user, message_id)
    conversation = question.conversation
    model_name = _model_of(request, conversation) if request.POST.get("model") else conversation.model_name
    question, answer = edit_question(
        question=question,
        text=request.POST.get("text", ""),
        model_name=model_name,
        process_id=ensure_loop().process_id,
    )
    _begin(request, answer, is_replaced=_is_replaced(request, model_name))
    return _show_turn(request, question, answer)


@login_required
@require_POST
def message_regenerate(request: HttpRequest, message_id: UUID) -> HttpResponse:
    message = get_visible_message(request.user, message_id)
    model_name = _model_for(request, message)
    answer = answer_again(message=message, model_name=model_name, process_id=ensure_loop().process_id)
    _begin(request, answer, is_replaced=_is_replaced(request, model_name))
    if not request.htmx:
        return redirect("prompts:conversation-detail", answer.conversation_id)
    response = _render_branch(request, [answer])
    _leave_address(response, answer)
    return response


@login_required
@require_POST
def message_continue(request: HttpRequest, message_id: UUID) -> HttpResponse:
    message = get_visible_message(request.user, message_id)
    model_name = _model_for(request, message)
    message = continue_answer(message=message, model_name=model_name, process_id=ensure_loop().process_id)
    _begin(request, message, is_replaced=_is_replaced(request, model_name))
    return _show_message(request, message)


def _model_for(request: HttpRequest, message: Message) -> str:
    """The one that is wanted, else the one that gave this answer."""
    return _model_of(request, message.conversation) if request.POST.get("model") else message.model_name


def _show_message(request: HttpRequest, message: Message) -> HttpResponse:
    if not request.htmx:
        return redirect("prompts:conversation-detail", message.conversation_id)
    return render(
        request,
        "prompts/_message.html",
        {"message": pages.show_message(request, message), "conversation": message.conversation},
    )
