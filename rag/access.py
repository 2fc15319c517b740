"""Who may use a collection, as its page shows and changes it."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Grant, User
from accounts.reach import name_holder, say_who
from accounts.roles import role_label
from accounts.selectors import get_user_by_email, get_visible_grant, list_projects, list_visible_grants
from accounts.services import grant, revoke_grant
from foundation.errors import Conflict, InvalidInput, NotFound
from rag.forms import RefusedForm
from rag.models import Collection
from rag.reach import list_reachable_collections
from rag.selectors import COLLECTION


class AccessForm(RefusedForm):
    """One right more: a role, a project or a person, who may or may not."""

    holder = forms.ChoiceField(label=_("Role or project"), required=False)
    person = forms.EmailField(
        label=_("Or a person"),
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        help_text=_("Their e-mail address."),
    )
    effect = forms.ChoiceField(
        label=_("What they may do"),
        choices=[
            (Grant.Effect.ALLOW, _("may use the collection")),
            (Grant.Effect.DENY, _("may not use it, whatever else allows it")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._roles = {f"role:{row.pk}": row for row in Group.objects.order_by("name")}
        self._projects = {f"project:{row.pk}": row for row in list_projects()}
        field = self.fields["holder"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [
                ("", _("choose one")),
                (_("Roles"), [(key, role_label(row)) for key, row in self._roles.items()]),
                (_("Projects"), [(key, str(row)) for key, row in self._projects.items()]),
            ]

    def give(self, actor: User, collection: Collection) -> None:
        """Raises NotAllowed, InvalidInput."""
        given = self.cleaned_data
        if bool(given["holder"]) == bool(given["person"]):
            raise InvalidInput(_("Choose a role or a project, or name a person."), param="holder")
        holder: dict[str, Any]
        if given["person"]:
            try:
                holder = {"user": get_user_by_email(given["person"])}
            except NotFound as exc:
                raise InvalidInput(exc.message, param="person") from None
        elif given["holder"] in self._roles:
            holder = {"role": self._roles[given["holder"]]}
        else:
            holder = {"project": self._projects[given["holder"]]}
        with transaction.atomic():
            grant(actor=actor, kind=COLLECTION, target=collection.pk, effect=given["effect"], **holder)
            _see_reach(actor, collection)

    @staticmethod
    def revoke(actor: User, collection: Collection, grant_id: str) -> None:
        """Raises NotAllowed, NotFound."""
        row = get_visible_grant(actor, grant_id)
        if row.object_id != collection.pk:
            raise NotFound(_("There is no such right of use."))
        with transaction.atomic():
            revoke_grant(actor=actor, grant=row)
            _see_reach(actor, collection)


def _see_reach(actor: User, collection: Collection) -> None:
    """Nobody closes a collection to themselves by oversight. Raises Conflict."""
    if not list_reachable_collections(actor).filter(pk=collection.pk).exists():
        told = _("Then you could no longer use this collection. Allow it to yourself or your role first.")
        raise Conflict(told, code="own_access_lost")


def describe_access(actor: User, collection: Collection) -> dict[str, Any]:
    """The variables of rag/collection_access.html. Raises NotAllowed."""
    rows = list(list_visible_grants(actor).filter(kind=COLLECTION, object_id=collection.pk))
    for row in rows:
        row.holder_text = name_holder(row)  # type: ignore[attr-defined]
    return {
        "grants": sorted(rows, key=lambda row: (row.effect, row.holder_text)),
        "reach": say_who(f"“{collection.name}”", rows),
        "may_give": actor.has_perm("accounts.add_grant") and collection.owner_id is None,
    }
