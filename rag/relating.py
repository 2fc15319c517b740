"""Relations that a language model reads: which models may, what it would cost, the order, and how far it
is.

Nothing is asked of a model without an order, and an order states the preview that somebody has seen and a
cap: in money, or in passages where the model is free of charge.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.models import User
from foundation.amounts import show_money
from foundation.errors import Conflict, InvalidInput
from foundation.told import gettext as _
from gateway.steps.reserve import CAP_REACHED
from models_registry.offered import say_price_of
from models_registry.routes import Route
from rag.booking import get_booking
from rag.engines.table import hands_over
from rag.graph import relations
from rag.graph.reading import FORM, MOST_TOKENS, USUAL_TOKENS, Passage, write_messages
from rag.models import Collection
from rag.offered import list_chat_models
from rag.rights import require_edit
from rag.services import lock_collection
from rag.work_names import RELATE
from tenants.context import current_tenant
from tenants.doors.hosts import find_tenant_by_slug
from tenants.local.models import Work
from tenants.work.selectors import find_newest_work
from tenants.work.services import cancel, order, retry
from usage.pricing import UnpricedClass, Usage, cost, highest_cost

CHANGE = "rag.change_collection"
BYTES_PER_TOKEN = 3.5  # as the gateway estimates what no provider counts
HELD_MORE_BYTES = 2_000  # by the gateway, for what it says of the form
AROUND_BYTES = len(repr(write_messages(Passage(0, "", (), "")))) + len(repr(FORM))  # what a passage stands in


@dataclass(frozen=True, slots=True)
class Preview:
    """What another order would read, as estimated. `cost`: None where nobody has said what the model costs,
    or the model may not be used (then `problem` says why).
    """

    model: str
    passage_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    price_text: str = ""
    cost: Decimal | None = None
    held: Decimal = Decimal(0)  # for the longest passage, while it is read
    currency: str = ""
    problem: str = ""

    @property
    def is_in_money(self) -> bool:
        """Whether its cap is money; else passages. Also where only what is not foreseen has a price."""
        return bool(self.held)

    @property
    def cost_text(self) -> str:
        return show_money(self.cost, self.currency)

    @property
    def suggested_cap(self) -> Decimal:
        """Twice what is foreseen, and room for a call and its correction, which are held before they are
        sent; in two digits. Or all passages.
        """
        if not self.is_in_money:
            return Decimal(self.passage_count)
        wanted = 2 * ((self.cost or 0) + self.held)
        return round(wanted, 1 - wanted.adjusted())


@dataclass(frozen=True, slots=True)
class State:
    """How far the newest order is. `why`: the reason for which it stopped, or waits."""

    counts: relations.Counts
    state: str = ""  # of tenants.local.models.Work; empty: none was ordered
    done: int = 0
    total: int = 0
    cost: Decimal = Decimal(0)
    currency: str = ""
    why: str = ""
    why_code: str = ""
    next_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        return self.state in Work.ACTIVE

    @property
    def can_retry(self) -> bool:
        """What its cap ended is ordered anew."""
        return self.state in (Work.State.FAILED, Work.State.CANCELLED) and self.why_code != CAP_REACHED

    @property
    def percent(self) -> int | None:
        return 100 * self.done // self.total if self.total else None


def list_readers(user: User, policy: str = "", present: str = "") -> dict[str, Route | None]:
    """The chat models that a person may have read documents of this data policy; `present`, which the
    collection has, is one of them whatever became of it (then None).
    """
    door = find_tenant_by_slug(current_tenant())
    offered = list_chat_models(user, door, policy) if door else ()
    found: dict[str, Route | None] = {entry.route.name: entry.route for entry in offered}
    if present:
        found.setdefault(present, None)
    return found


def check_reader(user: User | None, name: str, policy: str) -> None:
    """Raises InvalidInput unless the person may have the model read documents of this data policy."""
    if name and user is not None and list_readers(user, policy).get(name) is None:
        told = _("There is no chat model of this name, you may not use it, or the data policy forbids it.")
        raise InvalidInput(told, param="relations_model")


def preview(user: User, collection: Collection) -> Preview:
    """What an order of this person's would read and cost. Writes nothing."""
    model = collection.relations_model
    route = list_readers(user, collection.data_policy).get(model)
    if route is None or collection.active_generation_id is None:
        told = _("The model “%(name)s” is not there, you may not use it, or the data policy forbids it.")
        return Preview(model, problem=told % {"name": model})
    count, size_bytes, longest = relations.measure_wanting(collection.active_generation_id, model)
    tokens = round((size_bytes + count * AROUND_BYTES) / BYTES_PER_TOKEN)
    usage = Usage(tokens, 0, count * USUAL_TOKENS)
    most_bytes = longest + AROUND_BYTES + HELD_MORE_BYTES
    try:
        held = highest_cost(route.price, most_bytes, MOST_TOKENS, has_sound=False)
    except UnpricedClass:
        told = _("The model “%(name)s” has a price, but none for tokens. Ask an administrator to enter one.")
        return Preview(model, problem=told % {"name": model})
    return Preview(
        model=model,
        passage_count=count,
        input_tokens=usage.total_input,
        output_tokens=usage.total_output,
        price_text=say_price_of(route),
        cost=None if route.price.is_unset else cost(route.price, usage),
        held=held,
        currency=route.price.currency,
    )


@transaction.atomic
def order_relations(*, actor: User, collection: Collection, seen: Preview, cap: Decimal) -> Work:
    """Have the model read what it has not read. `seen`: the preview that the person has looked at; `cap`: in
    its currency, or passages. Booked on the person, and on the key and project of `rag.booking`. Raises
    NotAllowed, InvalidInput, Conflict: where the preview is another by now, or an order is not done yet.
    """
    require_edit(actor, collection, CHANGE)
    collection = lock_collection(collection.pk)
    now = preview(actor, collection)
    if not collection.relations_model:
        raise Conflict(_("Choose the model that reads relations in the settings first."), code="no_model")
    if hands_over(collection):
        raise Conflict(_("RAGFlow reads the documents of this collection itself."), code="not_offered")
    if now.problem:
        raise Conflict(now.problem, code="model_not_open")
    if find_order(collection, is_active=True):
        raise Conflict(_("The relations are being read already."), code="work_active")
    if not now.passage_count:
        raise Conflict(_("This model has read all passages."), code="nothing_to_read")
    if (now.model, now.passage_count, now.cost) != (seen.model, seen.passage_count, seen.cost):
        told = _("The preview is another by now. Look at it again, then order.")
        raise Conflict(told, code="preview_changed")
    if cap <= 0 or (not now.is_in_money and cap != int(cap)):
        told = _("Give a cap above 0; of passages, a whole number.")
        raise InvalidInput(told, param="cap")
    booking = get_booking()
    arguments = {
        "model": now.model,
        "most_cost": str(cap) if now.is_in_money else None,
        "most_passages": None if now.is_in_money else int(cap),
        "currency": now.currency,
        "key": str(booking.key_id or ""),
        "project": str(booking.project_id or ""),
        "total": now.passage_count,
        "preview": {"passages": now.passage_count, "cost": None if now.cost is None else str(now.cost)},
    }
    return order(RELATE, collection.pk, arguments=arguments, ordered_by=actor.pk)


def find_order(collection: Collection, *, is_active: bool = False) -> Work | None:
    """The newest one."""
    row = find_newest_work(RELATE, [collection.pk]).get(str(collection.pk))
    return row if row is not None and (row.state in Work.ACTIVE or not is_active) else None


@transaction.atomic
def cancel_relations(*, actor: User, collection: Collection) -> None:
    """What was read stays. Raises NotAllowed, Conflict."""
    require_edit(actor, collection, CHANGE)
    row = find_order(collection, is_active=True)
    if row is None:
        raise Conflict(_("No relations are being read."), code="work_ended")
    cancel(row)


@transaction.atomic
def retry_relations(*, actor: User, collection: Collection) -> None:
    """Go on with an order that stopped, within its cap and on the bill of whoever gave it: so only that
    person may. Raises NotAllowed, Conflict.
    """
    require_edit(actor, collection, CHANGE)
    row = find_order(collection)
    if row is None or row.ordered_by != actor.pk:
        told = _("Only whoever ordered it can go on with it. Order the rest yourself.")
        raise Conflict(told, code="not_yours")
    retry(row)


def describe(collection: Collection) -> State:
    """How far it is; whoever asks may read the collection."""
    generation_id, counts = collection.active_generation_id, relations.Counts()
    if generation_id is not None:
        counts = relations.count(generation_id, collection.relations_model)
    row = find_order(collection)
    if row is None:
        return State(counts)
    done, total = next(((one[1], one[2]) for one in row.stages), (0, 0))
    return State(
        counts=counts,
        state=row.state,
        done=done,
        total=total,
        cost=row.cost,
        currency=row.arguments.get("currency", ""),
        why=row.failure if row.state != Work.State.DONE else "",
        why_code=row.error_code if row.state != Work.State.DONE else "",
        next_at=row.due_at if row.state == Work.State.QUEUED and row.failure else None,
    )
