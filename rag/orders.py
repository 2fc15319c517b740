"""What the page of a graph shows of an order of relations, and the form that gives one."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from foundation.amounts import AmountField
from rag import relating
from rag.engines.table import hands_over
from rag.forms import RefusedForm
from rag.models import Collection
from rag.relating import Preview
from tenants.local.models import Work


class RelationsForm(RefusedForm):
    """The cap, beside the preview that the page showed."""

    model = forms.CharField(max_length=120, widget=forms.HiddenInput)
    passages = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    cost = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)
    cap = AmountField(label=_("At most"), min_value=0)

    def __init__(self, *args: Any, preview: Preview, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "model": preview.model,
            "passages": preview.passage_count,
            "cost": "" if preview.cost is None else str(preview.cost),
            "cap": preview.suggested_cap,
        }
        super().__init__(*args, **kwargs)
        self.fields["cap"].help_text = (
            _("In %(currency)s. No further passage is read when it is reached.")
            % {"currency": preview.currency}
            if preview.is_in_money
            else _("So many passages.")
        )

    def clean_cost(self) -> Decimal | None:
        """As it was shown; what nobody showed is none."""
        try:
            cost = Decimal(self.cleaned_data["cost"])
        except InvalidOperation:
            return None
        return cost if cost.is_finite() else None

    def give(self, actor: User, collection: Collection) -> Work:
        """Raises NotAllowed, InvalidInput, Conflict."""
        given = self.cleaned_data
        seen = Preview(given["model"], passage_count=given["passages"], cost=given["cost"])
        return relating.order_relations(actor=actor, collection=collection, seen=seen, cap=given["cap"])


def describe_order(actor: User, collection: Collection, form: RelationsForm | None = None) -> dict[str, Any]:
    """The variables of rag/_relations.html, for who may change the collection."""
    state = relating.describe(collection)
    context: dict[str, Any] = {"order": state, "offers_relations": not hands_over(collection)}
    if collection.relations_model and not state.is_active:
        seen = relating.preview(actor, collection)
        context |= {"preview": seen, "order_form": form or RelationsForm(preview=seen)}
    return context
