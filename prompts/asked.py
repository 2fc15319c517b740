"""What an answer is to rest on, and where that may go: read before anything is looked for."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from accounts.selectors.people import get_known_user
from foundation.errors import NotAllowed
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import auto
from gateway.steps.lookup import find_route, find_ways, list_visible_routes
from models_registry.kinds import AUTO, ModelKind
from prompts.attachments import WHOLE, find_collection
from prompts.branches import list_parts
from prompts.models import Message, Part
from rag.selectors import list_visible_collections
from tenants.data_policy import DataPolicy, strictest


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is to rest on. `kept`: the step of an earlier attempt that it goes on from."""

    question: str
    earlier: str  # the question before it
    collections: tuple[UUID, ...]
    files: tuple[UUID, ...]  # documents that came with this question
    whole: tuple[UUID, ...]  # documents of the branch that are read whole, the newest question's first
    policy: str  # where all of this may go
    kept: dict[str, Any] | None
    bytes_per_token: float | None

    @property
    def is_any(self) -> bool:
        return bool(self.collections or self.whole or self.kept)


def read_asked(message_id: UUID, user_id: UUID, project_id: UUID) -> Asked:
    """What the answer `message_id` is to rest on. In the tenant."""
    message = Message.objects.select_related("conversation", "parent").filter(pk=message_id).get()
    conversation, question = message.conversation, message.parent
    user = get_known_user(user_id)
    hidden = find_collection(conversation)
    wanted = [*conversation.collection_ids, *([hidden.pk] if hidden else [])]
    readable = list_visible_collections(user, project_id).filter(pk__in=wanted)
    parts = list(list_parts(message.pk, (Part.Kind.FILE, Part.Kind.TOOL_RESULT)))
    results = [part.data for part in parts if part.kind == Part.Kind.TOOL_RESULT]
    files = [part for part in parts if part.kind == Part.Kind.FILE and "document" in part.data]
    own = next((part.data for part in parts if part.message_id == message.pk and part.data), None)
    return Asked(
        question=question.text if question else "",
        earlier=_find_earlier(question) if wanted else "",
        collections=tuple(wanted),
        files=tuple(_document(part) for part in files if question and part.message_id == question.pk),
        whole=tuple(dict.fromkeys(_document(part) for part in files if part.data.get("use") == WHOLE)),
        policy=strictest(
            "",
            *readable.values_list("data_policy", flat=True),
            *(result.get("policy", "") for result in results),
        ),
        kept=own,
        bytes_per_token=conversation.bytes_per_token,
    )


def _document(part: Part) -> UUID:
    return UUID(part.data["document"])


def _find_earlier(question: Message | None) -> str:
    answer = question.parent if question else None
    before = answer.parent if answer else None
    return before.text if before else ""


def bind(asked: Asked, principal: Principal, snapshot: TenantSnapshot, model_name: str) -> Principal:
    """The principal under the data policy of what the answer rests on, which earlier answers of its branch
    may rest on, too. Raises NotAllowed where the model may not read it.
    """
    bound = replace(principal, data_policy=strictest(principal.data_policy, asked.policy))
    if (
        not asked.policy
        or _may_read(model_name, bound, snapshot)
        or not _may_read(model_name, principal, snapshot)
    ):
        return bound
    route = snapshot.routes.get(model_name)
    names = [
        one.label or one.name
        for one in list_visible_routes(bound, snapshot)
        if one.kind == ModelKind.CHAT and find_ways(one, one.name, bound, snapshot)
    ]
    reason = _(
        "The documents of this conversation may go to: %(policy)s. “%(model)s” runs elsewhere, so it was not "
        "asked."
    ) % {"policy": DataPolicy(asked.policy).label, "model": route.label if route else model_name}
    if names:
        way = _("Choose one of these: %(models)s. Or begin a new conversation without these documents.") % {
            "models": ", ".join(names[:3])
        }
    else:
        way = _("No model that you may use runs there. Begin a new conversation without these documents.")
    raise NotAllowed(reason + " " + way, code="data_policy", param="model")


def _may_read(model_name: str, principal: Principal, snapshot: TenantSnapshot) -> bool:
    if model_name == AUTO:
        return bool(auto.list_models(principal, snapshot))
    route = find_route(model_name, principal, snapshot)
    return route is not None and bool(find_ways(route, model_name, principal, snapshot))
