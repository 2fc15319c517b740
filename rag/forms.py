"""The shape of what a person says of a collection and of what they bring into it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from foundation.refusals import Refusal, texts_by_field
from rag.models import MOST_VISION_PAGES, Collection, Language
from tenants.data_policy import DataPolicy

PRIVATE, SHARED = "private", "shared"
MAX_TEXT = 2_000_000


class RefusedForm(forms.Form):
    """A form that shows what the service refused, each text at its field."""

    def add_refusal(self, refusal: Refusal) -> None:
        for name, texts in texts_by_field(refusal).items():
            self.add_error(name if name in self.fields else None, texts)


class CollectionForm(RefusedForm):
    """A collection. Whoever may not share one has no choice of who sees it; what exists changes
    hands by `HandOverForm`.
    """

    fields: dict[str, Any]
    name = forms.CharField(label=_("Name"), max_length=120)
    visibility = forms.ChoiceField(
        label=_("Who may see it"),
        choices=[
            (PRIVATE, _("Only me")),
            (SHARED, _("Everybody in your organisation, until you choose who")),
        ],
        initial=PRIVATE,
        widget=forms.RadioSelect,
    )
    languages = forms.MultipleChoiceField(
        label=_("Languages of its documents"),
        choices=Language.choices,
        initial=Language.values,
        widget=forms.CheckboxSelectMultiple,
    )
    engine = forms.ChoiceField(
        label=_("Who reads and searches its documents"),
        choices=[
            (Collection.Engine.PGVECTOR, _("Atrium itself")),
            (Collection.Engine.RAGFLOW, _("RAGFlow, with its own models")),
        ],
        initial=Collection.Engine.PGVECTOR,
        widget=forms.RadioSelect,
        help_text=_("RAGFlow gets the files. An embedding model chosen below counts for Atrium alone."),
    )
    embedding_model = forms.ChoiceField(
        label=_("How passages are found"),
        required=False,
        help_text=_("An embedding model finds what means the same in other words, also across languages."),
    )
    vision_model = forms.ChoiceField(
        label=_("Vision model for scanned pages"),
        required=False,
        help_text=_(
            "Reads pages without a text layer, and pictures. What it costs is paid by whoever brings the "
            "document."
        ),
    )
    page_reader = forms.ChoiceField(
        label=_("Who reads scanned pages"),
        choices=[
            (
                Collection.PageReader.AUTOMATIC,
                _("The text recognition of this installation; where it has none, the vision model"),
            ),
            (Collection.PageReader.MODEL, _("The vision model, which also reads handwriting and tables")),
        ],
        initial=Collection.PageReader.AUTOMATIC,
        widget=forms.RadioSelect,
    )
    vision_pages = forms.IntegerField(
        label=_("Most pages of a document for the vision model"),
        min_value=1,
        max_value=MOST_VISION_PAGES,
        initial=50,
        help_text=_("Scanned pages beyond these are not read, and the document says so."),
    )
    chunk_characters = forms.IntegerField(
        label=_("Length of a passage"),
        min_value=200,
        max_value=4000,
        initial=900,
        help_text=_(
            "How many characters of a document are found and cited as one passage: 200 to 4,000, in Chinese "
            "half as many. Short passages are more exact, long ones tell more."
        ),
    )
    uses_graph = forms.BooleanField(
        label=_("Also find passages with the same names"),
        required=False,
        initial=True,
        help_text=_(
            "Where the best passages name a person, place or work, further passages that name it are found "
            "as well."
        ),
    )
    relations_model = forms.ChoiceField(
        label=_("Model that reads relations"),
        required=False,
        help_text=_(
            "A chat model can read in the passages who has to do with whom, and in which way. Nothing is "
            "read before somebody has seen what that costs and orders it, on the page “Graph”."
        ),
    )
    data_policy = forms.ChoiceField(
        label=_("Where its texts may go"),
        required=False,
        help_text=_("Which models may read them: those that run in these places."),
    )

    def __init__(
        self,
        *args: Any,
        models: Sequence[tuple[str, str]],
        vision_models: Sequence[tuple[str, str]],
        may_share: bool,
        is_new: bool,
        has_ragflow: bool = False,
        readers: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["embedding_model"].choices = [("", _("By words only")), *models]
        self.fields["vision_model"].choices = [("", _("No vision model")), *vision_models]
        if not vision_models:
            self.fields["vision_model"].help_text = _(
                "None of the models that you may use reads images. An administrator can connect one and give "
                "you the right to use it."
            )
        if is_new and models:
            self.fields["embedding_model"].initial = models[0][0]
        self.fields["data_policy"].choices = [
            (value, capfirst(str(label))) for value, label in DataPolicy.choices
        ]
        if not (is_new and may_share):
            del self.fields["visibility"]
        if not has_ragflow:
            del self.fields["engine"]
        if is_new:
            for name in ("chunk_characters", "uses_graph", "page_reader", "vision_pages", "relations_model"):
                del self.fields[name]
        else:
            choices = [("", _("No model")), *((name, name) for name in readers)]
            self.fields["relations_model"].choices = choices

    @property
    def is_shared(self) -> bool:
        return self.cleaned_data.get("visibility") == SHARED


def values_of(collection: Collection) -> dict[str, Any]:
    """What the form shows of one that exists."""
    names = (
        "name",
        "engine",
        "languages",
        "embedding_model",
        "vision_model",
        "page_reader",
        "vision_pages",
        "chunk_characters",
        "uses_graph",
        "relations_model",
        "data_policy",
    )
    return {name: getattr(collection, name) for name in names}


class TextForm(RefusedForm):
    title = forms.CharField(label=_("Title"), max_length=300)
    text = forms.CharField(
        label=_("Text"),
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text=_("An empty line begins a new paragraph."),
    )


class AddressForm(RefusedForm):
    url = forms.URLField(
        label=_("Web address"),
        max_length=2000,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"placeholder": "https://", "inputmode": "url"}),
        help_text=_("One page is read, not what it links to."),
    )
    recrawl_days = forms.TypedChoiceField(
        label=_("Look again"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", _("never")),
            (1, _("every day")),
            (7, _("every week")),
            (30, _("every 30 days")),
            (90, _("every 90 days")),
        ],
    )
