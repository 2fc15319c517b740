"""What the chat's templates are given."""

import re
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language

from accounts.grants import list_closed_objects
from accounts.objects import MODEL
from models_registry.first_models import find_first_model
from models_registry.routes import Route
from models_registry.selectors import find_successor, list_offered, list_preparing_models
from prompts.conclusions import as_concluded
from prompts.models import Conversation, Message
from prompts.rendering import render_markdown
from prompts.selectors import list_bookings, list_messages, page_of_conversations
from prompts.services import MAX_TEXT_CHARS
from prompts.starters import list_choices, starter_sets
from usage.selectors import find_tightest_budget


def list_chat_models(request: HttpRequest, project_id: UUID) -> list[Route]:
    """The models a person can choose from in a conversation that is booked on this project, the default
    first: an administrator's choice, else the best one for the reader's language.
    """
    closed = set(list_closed_objects(MODEL, request.user, project_id))
    routes = [
        route
        for route in list_offered(UUID(request.tenant.plan_id), request.tenant.currency)
        if route.kind == "chat" and route.model_id not in closed
    ]
    return sorted(
        routes,
        key=lambda route: (not route.is_default, _rank_for_reader(route), route.is_demo, route.label),
    )


def _rank_for_reader(route: Route) -> int:
    """Models of real servers, then those of the embedded runtime's small ones that speak the reader's
    language, then the rest; last what is asked elsewhere at a price that nobody has entered: connecting it
    made it nobody's choice.
    """
    first = find_first_model(route)
    if first is None:
        is_known = not route.price.is_unset or route.targets[0].endpoint.location == "local"
        return 0 if is_known else 3
    return 1 if (get_language() or "en")[:2] in first.languages else 2


def choose_model(models: list[Route], wanted: str) -> str:
    """The wanted model if it is still there, else its registered successor, else "": what was written for one
    model goes to no other that nobody named. The first, if none is wanted.
    """
    if not wanted:
        return models[0].name if models else ""
    names = {model.name for model in models}
    name, passed = wanted, set()
    while (
        name and "\0" not in name and name not in names and name not in passed
    ):  # a successor may have been retired in its turn
        passed.add(name)
        name = find_successor(name)
    return name if name in names else ""


def render_message(message: Message) -> Message:
    """Give an answer its HTML: until a new one begins, that of the answer it is to replace."""
    text = (
        message.replaced["text"]
        if message.is_unfinished and message.replaced and not message.text
        else message.text
    )
    message.html = render_markdown(text) if message.role == Message.Role.ASSISTANT else ""
    message.is_of_today = timezone.localdate(message.created_at) == timezone.localdate()
    return message


def budget_context(request: HttpRequest, project_id: UUID, models: list[Route] | None = None) -> dict:
    """The tightest budget that binds a conversation on this project, and what follows from it. Models are
    looked up where that matters and they are not given.
    """
    budget = find_tightest_budget(request.user, project_id)
    if budget is None or not budget.is_exhausted:
        return {"budget": budget, "is_blocked": models == []}
    models = list_chat_models(request, project_id) if models is None else models
    return {"budget": budget, "is_blocked": all(has_price(model) for model in models)}


def has_price(model: Route) -> bool:
    return not model.price.is_free


def rail_context(request: HttpRequest, conversation: Conversation | None = None) -> dict:
    """The list of conversations: a page of it, grouped by days of the reader's time zone."""
    search = request.GET.get("q", "").strip()[:200]
    page, next_after = page_of_conversations(request.user, search, request.GET.get("after", ""))
    today = timezone.localdate()
    for row in page:
        row.group = _group_of((today - timezone.localdate(row.last_message_at)).days)
    return {"conversations": page, "next_after": next_after, "q": search, "conversation": conversation}


def _group_of(days_ago: int) -> str:
    return (
        "today" if days_ago <= 0 else "yesterday" if days_ago == 1 else "week" if days_ago <= 7 else "older"
    )


def _read_position(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def chat_context(request: HttpRequest, conversation: Conversation | None) -> dict:
    """Everything the chat page shows. `?before=` is the position before which earlier messages are wanted."""
    projects, project_id = list_bookings(request.user, conversation)
    models = list_chat_models(request, project_id)
    messages, has_earlier = (
        list_messages(conversation, _read_position(request.GET.get("before", "")))
        if conversation
        else ([], False)
    )
    wanted = conversation.model_name if conversation else request.session.get("model_name", "")
    chosen = choose_model(models, wanted)
    if conversation is None:
        chosen = chosen or choose_model(models, "")
    is_retired = conversation is not None and wanted and wanted != chosen
    return {
        **rail_context(request, conversation),
        "chat_messages": [render_message(as_concluded(message)) for message in messages],
        "earlier_before": messages[0].position if has_earlier else "",
        "models": models,
        "selected_model": chosen,
        "retired_model": {"name": wanted, "successor": chosen} if is_retired else None,
        **budget_context(request, project_id, models),
        "projects": projects if len(projects) > 1 else [],
        "selected_project_id": project_id,
        "max_text_chars": MAX_TEXT_CHARS,
        "choices": list_choices(models),
        "starter_sets": starter_sets() if conversation is None else {},
        "preparing": list_preparing_models() if conversation is None else [],
        "draft": request.GET.get("text", "")[:2_000],
        "place": "chat",
    }
