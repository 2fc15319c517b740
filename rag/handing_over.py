"""A person's own collection changes hands: it goes to another person, or to the organisation."""

from django import forms
from django.db import transaction
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.selectors import get_user_by_email
from foundation.errors import InvalidInput, NotFound
from foundation.told import gettext as _
from rag.forms import RefusedForm
from rag.holdings import has_as_many_as_may_be
from rag.models import Collection
from rag.rights import require_creation, require_edit

PERSON, EVERYBODY = "person", "everybody"


@transaction.atomic
def hand_over(*, actor: User, collection: Collection, to: User | None) -> Collection:
    """To a person, who alone may use it from then on, or (None) to everybody of the organisation; there it
    stays among the giver's. Its own person may; for everybody whoever may share collections. Raises
    NotAllowed, NotFound, InvalidInput, ValidationError (its name is taken there).
    """
    require_edit(actor, collection, "rag.change_collection")
    row = Collection.objects.select_for_update(of=("self",)).get(pk=collection.pk)
    if row.owner_id != actor.pk or row.conversation_id is not None:
        raise InvalidInput(_("Only a collection of your own can be handed over."), code="not_own")
    if to is None:
        require_creation(actor, None)
    elif not to.is_active or to.pk == actor.pk:
        raise InvalidInput(_("Name another person who can log in."), param="person")
    elif has_as_many_as_may_be(to.pk):
        raise InvalidInput(
            _("This person has as many collections as one may have."),
            code="too_many_collections",
            param="person",
        )
    row.owner_id = to.pk if to else None
    row.keeper_id = to.pk if to else actor.pk
    row.full_clean()
    row.save()
    return row


def get_person(email: str) -> User:
    """By whom a collection may be had. Raises InvalidInput."""
    try:
        return get_user_by_email(email)
    except NotFound as exc:
        raise InvalidInput(exc.message, param="person") from None


class HandOverForm(RefusedForm):
    """To whom; whoever may not share collections can name a person alone."""

    to = forms.ChoiceField(
        label=gettext_lazy("To whom"),
        choices=[
            (PERSON, gettext_lazy("to another person, who alone may use it then")),
            (EVERYBODY, gettext_lazy("to everybody in your organisation; you go on looking after it")),
        ],
        initial=PERSON,
        widget=forms.RadioSelect,
    )
    person = forms.EmailField(
        label=gettext_lazy("The person"),
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Their e-mail address."),
    )

    def __init__(self, *args: object, may_share: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        if not may_share:
            del self.fields["to"]

    def hand_over(self, actor: User, collection: Collection) -> Collection:
        """Raises NotAllowed, InvalidInput, ValidationError."""
        given = self.cleaned_data
        if given.get("to", PERSON) == EVERYBODY:
            return hand_over(actor=actor, collection=collection, to=None)
        return hand_over(actor=actor, collection=collection, to=get_person(given["person"]))
