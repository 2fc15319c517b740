"""The work of an order of relations: some passages at a time through the gateway, on the bill of whoever gave
the order, until all are read or the cap is reached.

What was read is kept piece by piece, so that a crash, a cancellation or the cap costs nothing that was paid
for, but what is under way. The cap is kept by the gateway: a call that could cost more than is left of it is
not sent. Does not cover: what a worker that died had under way; it is billed, and not counted against the
cap.
"""

import time
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from accounts.selectors import find_first_active, find_key_name
from foundation.amounts import show_money
from foundation.errors import AtriumError, Conflict, InvalidInput, NotAllowed, QuotaExceeded
from foundation.told import gettext as _
from foundation.told import ngettext
from gateway.asking import start_json
from gateway.steps.reserve import CAP_REACHED
from gateway.vectors import Payer
from rag.graph import relations
from rag.graph.reading import FORM, MOST_TOKENS, Found, Passage, read_answer, write_messages
from rag.models import Collection
from rag.work.embedding import LONG_TEXT, SOURCE
from rag.work.patience import write_alone
from rag.work.slices import SLICE_S
from tenants.context import current_tenant
from tenants.local.models import Work
from tenants.work.runs import Run
from tenants.work.services import go_on_later

AT_ONCE = 4  # passages
IN_VAIN = 12  # so many without one that is read: the model cannot do it


@dataclass(slots=True)
class Order:
    """What an order still may do. `left`: of its cap in money; nothing where it has one in passages, since
    whoever gave it was told that the model costs nothing.
    """

    run: Run
    collection: Collection
    generation_id: int
    model: str
    payer: Payer
    left: Decimal
    total: int

    def count(self) -> int:
        """Passages that it has asked the model for."""
        return relations.count_asked(self.generation_id, self.run.work_id)[0]

    def list_next(self) -> list[Passage]:
        """Raises Conflict where the cap in passages is reached, or all was in vain."""
        asked, read = relations.count_asked(self.generation_id, self.run.work_id)
        most = self.run.arguments["most_passages"]
        room = AT_ONCE if most is None else min(AT_ONCE, most - asked)
        if asked >= IN_VAIN and not read:
            raise Conflict(
                _("The model “%(name)s” gave nothing usable for %(count)d passages. Choose another one.")
                % {"name": self.model, "count": asked},
                code="reads_nothing",
            )
        found = relations.list_wanting(self.generation_id, self.model, self.run.work_id, max(room, 1))
        if found and room <= 0:
            raise self.reached()
        return found

    def reached(self) -> Conflict:
        given = self.run.arguments
        if given["most_cost"] is not None:
            cap = show_money(Decimal(given["most_cost"]), given["currency"])
        else:
            count = given["most_passages"]
            cap = ngettext("%(count)d passage", "%(count)d passages", count) % {"count": count}
        told = _("The cap of this order (%(cap)s) is reached. What is left can be ordered anew.")
        return Conflict(told % {"cap": cap}, code=CAP_REACHED)


def relate(run: Run) -> None:
    """Raises Conflict with the reason for which it stops; what passes (a model that is away, a limit) is
    raised as it is, and tried again.
    """
    ends_at = time.monotonic() + SLICE_S
    while (here := _begin(run)) and (passages := here.list_next()):
        run.progress("relations", min(here.count(), here.total), here.total)
        _read(here, passages)
        if time.monotonic() > ends_at:
            return go_on_later(run)
    if here is None:
        return
    run.progress("relations", here.total, here.total)
    now = Collection.objects.filter(pk=here.collection.pk).values_list("active_generation", flat=True).first()
    if now not in (None, here.generation_id):  # another index has taken its place meanwhile
        go_on_later(run)


def _begin(run: Run) -> Order | None:
    """As things stand now: the data policy, the key and the index may be others than a moment ago. None:
    there is nothing to read. Raises NotAllowed.
    """
    collection = Collection.objects.filter(pk=run.object_id).first()
    if collection is None or collection.active_generation_id is None:
        return None
    user_id = find_first_active([run.ordered_by])
    if user_id is None:
        told = _("Whoever ordered this may no longer use the platform. Order the rest yourself.")
        raise NotAllowed(told, code="no_payer")
    given = run.arguments
    key_name = find_key_name(UUID(given["key"]), is_usable=True) if given["key"] else ""
    if given["key"] and not key_name:
        raise NotAllowed(
            _("The key by which this was ordered is gone. Order the rest anew."), code="no_payer"
        )
    project_id = UUID(given["project"]) if given["project"] else None
    spent = Work.objects.values_list("cost", flat=True).get(pk=run.work_id)
    return Order(
        run=run,
        collection=collection,
        generation_id=collection.active_generation_id,
        model=given["model"],
        payer=Payer(current_tenant(), user_id, project_id, collection.data_policy, key_name),
        left=Decimal(given["most_cost"] or 0) - spent,
        total=given["total"],
    )


def _read(here: Order, passages: list[Passage]) -> None:
    """These at once; where the cap forbids that, the first of them alone."""
    answers, refusals = _ask(here, passages)
    if answers:
        write_alone(
            here.run,
            here.collection.pk,
            lambda: relations.keep(here.generation_id, here.model, here.run.work_id, answers),
            here.run.step,
        )
    capped = [error for error in refusals if error.code == CAP_REACHED]
    if others := [error for error in refusals if error not in capped]:
        raise _as_end(others[0])
    if capped and not answers:
        if len(passages) == 1:
            raise here.reached() if here.run.arguments["most_cost"] else _not_free()
        _read(here, passages[:1])


Answers = list[tuple[Passage, Found | None]]


def _ask(here: Order, passages: list[Passage]) -> tuple[Answers, list[AtriumError]]:
    """What they said, and why others said nothing; all that was used is written down."""
    share = max(here.left, Decimal(0)) / len(passages)
    asked = [
        start_json(
            here.payer,
            here.model,
            write_messages(passage),
            FORM,
            source=SOURCE,
            most_tokens=MOST_TOKENS,
            most_cost=share,
        )
        for passage in passages
    ]
    answers: Answers = []
    refusals: list[AtriumError] = []
    try:
        for passage, pending in zip(passages, asked, strict=True):
            try:
                answers.append((passage, read_answer(pending.wait(here.run.check), passage)))
            except InvalidInput as exc:
                if exc.code == LONG_TEXT:
                    answers.append((passage, None))
                else:
                    refusals.append(exc)
            except AtriumError as exc:
                refusals.append(exc)
    finally:
        for pending in asked:
            pending.cancel()
        spent = sum((pending.cost for pending in asked), Decimal(0))
        here.run.spend(spent)
        here.left -= spent
    return answers, refusals


def _not_free() -> Conflict:
    """The cap is passages, and the model costs something by now."""
    return Conflict(_("The preview is another by now. Look at it again, then order."), code=CAP_REACHED)


def _as_end(error: AtriumError) -> AtriumError:
    """A budget that refuses is an end, not something that passes within minutes."""
    if isinstance(error, QuotaExceeded) and error.code == "insufficient_quota":
        return Conflict(error.message, code=error.code)
    return error
