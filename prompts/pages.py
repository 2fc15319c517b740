"""What the chat's templates are given."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Project
from models_registry.kinds import AUTO
from models_registry.routes import Route
from models_registry.selectors import label_models, list_preparing_models
from prompts import sources
from prompts.attachments import MOST_BYTES, MOST_FILES
from prompts.branches import find_leaf_below, find_siblings, list_branch
from prompts.conclusions import as_concluded
from prompts.failures import explain_failure
from prompts.gone import find_gone
from prompts.markers import link_numbers
from prompts.models import Conversation, Message, Part
from prompts.offers import Offer, find_undecided, list_offer
from prompts.rendering import render_markdown
from prompts.selectors import HISTORY_SIZE, get_message_of, list_bookings, page_of_conversations
from prompts.services import MAX_TEXT_CHARS
from prompts.starters import find_auto_set, list_choices, starter_sets
from rag.guide.collection import find_guide
from rag.selectors import list_visible_collections
from rag.uploads import FROM_BYTES
from tenants.files.limits import say_size
from usage.selectors import find_tightest_budget

# A question that is longer is folded: it was pasted, and what was asked of it stands at its beginning.
FOLDED_LINES, FOLDED_CHARS = 24, 2_400
MOST_LISTED = 300  # collections to choose from in the composer
AUTO_LABELS = 5  # of the models among which “auto” chooses, so many are named
# A page that begins where branches part may be so long; a longer one shows the branch's end.
LONGEST_BRANCH = 5 * HISTORY_SIZE
# Why an attempt was refused: another model may answer.
REFUSED_MODEL = ("data_policy", "model_not_found", "model_retired")


def show_message(request: HttpRequest, message: Message) -> Message:
    """Give a message what the templates show beside its columns."""
    message.siblings = find_siblings([message]).get(message.pk)
    shown = sources.show_all(request.user, [message]).get(message.pk)
    labels = _name_models({message.model_name, message.failed_model_name})
    if not (_is_refused(message) or message.can_continue):
        return _show(message, labels, shown=shown)
    offer = list_offer(request.user, request.tenant, find_booking(request, message.conversation))
    return _show(message, labels, offer, shown=shown)


def name_model(name: str) -> str:
    """What people call a model, also one that is no longer offered."""
    return _name_models({name})[name]


def _name_models(names: set[str], offer: Offer | None = None) -> dict[str, str]:
    """Name → what people call it, of these and of all that are offered."""
    labels = {route.name: route.label for route in (*offer.models, *offer.closed)} if offer else {}
    labels[AUTO] = _("Automatic")
    unknown = names - labels.keys() - {""}
    return labels | label_models(unknown) if unknown else labels


def _is_refused(message: Message) -> bool:
    return message.status == Message.Status.FAILED and message.error_code in REFUSED_MODEL


def _show(
    message: Message,
    labels: dict[str, str],
    offer: Offer | None = None,
    *,
    shown: sources.Shown | None = None,
    is_past: bool = False,
) -> Message:
    """`is_past`: it is not of the last turn."""
    message.model_label = labels.get(message.model_name, "")
    message.failed_model_label = labels.get(message.failed_model_name, "")
    message.error_text, message.error_text_language = explain_failure(message)
    message.is_denied = offer is not None and message.model_name in offer.denied
    message.may_continue = message.can_continue and not message.is_denied
    if offer and (_is_refused(message) or message.is_denied):
        message.alternative = _find_alternative(message, offer)
    text = message.text
    message.html = _render(text, shown) if message.role == Message.Role.ASSISTANT else ""
    message.shown = shown
    message.is_long = len(text) > FOLDED_CHARS or text.count("\n") >= FOLDED_LINES
    message.thoughts = [
        {"text": part.text, "duration": _say_duration(part.duration_ms)}
        for part in message.parts.all()
        if part.kind == Part.Kind.REASONING and part.text.strip()
    ]
    message.is_past = is_past
    message.is_of_today = timezone.localdate(message.created_at) == timezone.localdate()
    return message


def _render(text: str, shown: sources.Shown | None) -> str:
    if shown is None or not shown.sources:
        return render_markdown(text)
    cited = [source.number for source in shown.sources if source.number is not None]
    return link_numbers(render_markdown(text, cited), shown.show_number)


def _say_duration(duration_ms: int | None) -> str:
    """How long somebody has thought: seconds up to two minutes. Empty where nobody knows."""
    if duration_ms is None:
        return ""
    seconds = max(1, round(duration_ms / 1000))
    if seconds < 120:
        return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}
    minutes = round(seconds / 60)
    return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}


def _find_alternative(message: Message, offer: Offer) -> Route | None:
    """A model that may answer what this one may not."""
    if message.error_code == "data_policy" and not offer.is_closed(message.model_name):
        return None  # it is the project that was refused
    return next((route for route in offer.models if route.name != message.model_name), None)


def find_booking(request: HttpRequest, conversation: Conversation | None, wanted: str = "") -> Project:
    """The project on which the next call is booked: the wanted one if the person is a member there."""
    projects, project_id = list_bookings(request.user, conversation)
    return _choose(projects, wanted, project_id)


def _choose(projects: list[Project], wanted: str, usual_id: object) -> Project:
    found = {str(project.pk): project for project in projects}
    return found.get(wanted) or found[str(usual_id)]


def budget_context(request: HttpRequest, project: Project, models: list[Route] | None = None) -> dict:
    """The tightest budget that binds a conversation on this project, and what follows from it. Models are
    looked up where that matters and they are not given.
    """
    budget = find_tightest_budget(request.user, project.pk)
    if budget is None or not budget.is_exhausted:
        return {"budget": budget, "is_blocked": models == []}
    models = list_offer(request.user, request.tenant, project).models if models is None else models
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


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a page shows of a conversation."""

    messages: list[Message]
    earlier_before: UUID | None  # the id of its first message where there are earlier ones
    leaf_id: UUID | None  # what a question asked on this page follows
    at: UUID | None  # the message that chose the branch, if one did
    is_end: bool  # it reaches to the leaf


def read_stretch(request: HttpRequest, conversation: Conversation | None) -> Stretch:
    """`?at=` is a message on the wanted branch; without it, it is the one that was written to last.
    `?before=` is the message before which earlier ones are wanted. Raises NotFound: one that is not of this
    conversation.
    """
    if conversation is None:
        return Stretch([], None, None, None, is_end=True)
    at = get_message_of(conversation, request.GET["at"]) if request.GET.get("at") else None
    leaf_id = find_leaf_below(at) if at else conversation.leaf_id
    last_id, most = leaf_id, HISTORY_SIZE
    if before := request.GET.get("before"):
        last_id = get_message_of(conversation, before).parent_id
    elif at is not None and leaf_id is not None:
        below = get_message_of(conversation, leaf_id).position - at.position
        most = max(most, below + 3) if below + 3 <= LONGEST_BRANCH else most
    messages = list(list_branch(last_id, most)) if last_id else []
    has_earlier = bool(messages) and messages[0].parent_id is not None
    return Stretch(
        messages=[as_concluded(message) for message in messages],
        earlier_before=messages[0].pk if has_earlier else None,
        leaf_id=leaf_id,
        at=at.pk if at else None,
        is_end=not before,
    )


def branch_context(request: HttpRequest, conversation: Conversation) -> dict[str, Any] | None:
    """The branch of `?at=` from that message on, to take the place of a sibling and what follows it; None
    where that is too much for a fragment.
    """
    stretch = read_stretch(request, conversation)
    ids = [message.pk for message in stretch.messages]
    if stretch.at not in ids:
        return None
    project = find_booking(request, conversation)
    offer = list_offer(request.user, request.tenant, project)
    below = stretch.messages[ids.index(stretch.at) :]
    labels = _name_models(_names_in(below), offer)
    return {
        "chat_messages": _show_all(request, below, labels, offer, has_last_turn=True),
        "conversation": conversation,
        "leaf_id": stretch.leaf_id,
        **budget_context(request, project, offer.models),
    }


def _names_in(messages: list[Message]) -> set[str]:
    return {name for message in messages for name in (message.model_name, message.failed_model_name)}


def _show_all(
    request: HttpRequest,
    messages: list[Message],
    labels: dict[str, str],
    offer: Offer,
    *,
    has_last_turn: bool,
) -> list[Message]:
    siblings = find_siblings(messages)
    shown = sources.show_all(request.user, messages)
    past = len(messages) - (2 if has_last_turn else 0)
    for number, message in enumerate(messages):
        message.siblings = siblings.get(message.pk)
        _show(message, labels, offer, shown=shown.get(message.pk), is_past=number < past)
    return messages


def chat_context(request: HttpRequest, conversation: Conversation | None) -> dict:
    """Everything the chat page shows (read_stretch: of which messages). `?project=` and `?model=` are what
    the composer has chosen, where it asks what that offers.
    """
    projects, project_id = list_bookings(request.user, conversation)
    project = _choose(projects, request.GET.get("project", ""), project_id)
    offer = list_offer(request.user, request.tenant, project)
    stretch = read_stretch(request, conversation)
    before = conversation.model_name if conversation else request.session.get("model_name", "")
    asked = request.GET.get("model", "")
    labels = _name_models({before, *_names_in(stretch.messages)}, offer)
    return {
        **rail_context(request, conversation),
        "chat_messages": _show_all(request, stretch.messages, labels, offer, has_last_turn=stretch.is_end),
        "earlier_before": stretch.earlier_before,
        "at": stretch.at,
        "leaf_id": stretch.leaf_id,
        "offer": offer,
        "models": offer.models,
        **_choose_model(before, asked, offer, labels, is_new=conversation is None),
        **budget_context(request, project, offer.models),
        "projects": projects if len(projects) > 1 else [],
        "selected_project_id": project.pk,
        "max_text_chars": MAX_TEXT_CHARS,
        "starter_sets": starter_sets(find_guide(request.user, project.pk)) if conversation is None else {},
        "preparing": list_preparing_models() if conversation is None else [],
        "undecided": find_undecided(request.user, offer) if conversation is None else None,
        "draft": request.GET.get("text", "")[:2_000],
        "place": "chat",
        **knowledge_context(request, conversation, project),
    }


def knowledge_context(
    request: HttpRequest, conversation: Conversation | None, project: Project
) -> dict[str, Any]:
    """The collections that may be chosen in the composer, those of the conversation first; of a new one, what
    the address names (`?collections=`) is chosen.
    """
    chosen = set(conversation.collection_ids) if conversation else _named_collections(request)
    rows = list_visible_collections(request.user, project.pk).filter(conversation_id=None)
    listed = list(rows.order_by("name").only("pk", "name", "data_policy", "owner_id")[:MOST_LISTED])
    missing = chosen - {row.pk for row in listed}
    listed += rows.filter(pk__in=missing).only("pk", "name", "data_policy", "owner_id")
    for row in listed:
        row.is_chosen = row.pk in chosen
    return {
        "collections": listed,
        "gone": find_gone(request.user, project.pk, sorted(chosen)),
        "most_files": MOST_FILES,
        "most_bytes": MOST_BYTES,
        "most_text": say_size(MOST_BYTES),
        "parts_from": FROM_BYTES,
    }


def _named_collections(request: HttpRequest) -> set[UUID]:
    named = set()
    for text in request.GET.getlist("collections")[:MOST_LISTED]:
        with suppress(ValueError):
            named.add(UUID(text))
    return named


def _describe_auto(offer: Offer) -> dict[str, Any] | None:
    if not offer.has_choice:
        return None
    labels = [route.label for route in offer.among]
    shown = labels[:AUTO_LABELS] + ["…"] * (len(labels) > AUTO_LABELS)
    return {
        "name": AUTO,
        "label": _("Automatic"),
        "count": len(labels),
        "models": ", ".join(shown),
        "is_listed": offer.is_listed,
        "set": find_auto_set(offer),
    }


def _choose_model(
    before: str, asked: str, offer: Offer, labels: dict[str, str], *, is_new: bool
) -> dict[str, Any]:
    """The model that is chosen at first, and why it is not the one that was. What only the address names is
    nobody's word, unless it is offered.
    """
    wanted = asked if asked in offer.names else before
    chosen = offer.choose(wanted)
    is_closed = offer.is_closed(chosen)
    selected = "" if is_closed else chosen
    if is_new and not (is_closed and asked):  # whom somebody has just chosen nobody else stands in for
        selected = selected or offer.choose("")
    has_gone = wanted != chosen and not (wanted == AUTO and chosen)
    is_retired = wanted and has_gone and not is_new and not is_closed
    return {
        "selected_model": selected,
        "choices": list_choices(offer),
        "auto": _describe_auto(offer),
        "closed_model": labels[chosen] if is_closed and not selected else "",
        "retired_model": {
            "name": labels[wanted],
            "successor": labels.get(selected, ""),
            "is_denied": wanted in offer.denied,
        }
        if is_retired
        else None,
    }
