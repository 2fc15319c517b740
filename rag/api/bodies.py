"""What programs send to `/api/v1/collections/`."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from rag import intake
from rag.api.shapes import PRIVATE, VISIBILITIES
from rag.handing_over import EVERYBODY, PERSON
from rag.models import MOST_VISION_PAGES, Collection, Document, Language
from rest.serializers import StrictSerializer
from tenants.data_policy import DataPolicy

LEGS = [("both", "both"), ("words", "words"), ("vectors", "vectors")]
MOST_PAIRS = 50


class PairsField(serializers.DictField):
    """What is noted of something: names with texts, numbers, true or false."""

    child = serializers.JSONField()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        value = super().to_internal_value(data)
        is_plain = all(
            0 < len(key) <= 64 and isinstance(one, (str, bool, int, float)) and len(str(one)) <= 512
            for key, one in value.items()
        )
        if (
            not is_plain
            or len(value) > MOST_PAIRS
            or any("\0" in f"{key}{one}" for key, one in value.items())
        ):
            told = _("At most %(count)d names (64 characters) with texts (512), numbers, true or false.")
            raise ValidationError(told % {"count": MOST_PAIRS})
        return value


class CollectionChanges(StrictSerializer):
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    languages = serializers.ListField(
        child=serializers.ChoiceField(Language.choices), required=False, min_length=1, max_length=3
    )
    engine = serializers.ChoiceField(
        Collection.Engine.choices,
        required=False,
        help_text="Who reads and searches its documents: `pgvector` (Atrium itself) or `ragflow`.",
    )
    embedding_model = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Empty: found by words only."
    )
    vision_model = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="Reads scanned pages and pictures. Empty: none.",
    )
    page_reader = serializers.ChoiceField(
        Collection.PageReader.choices,
        required=False,
        help_text="Who reads them: `automatic` (text recognition where it is, else the model) or `model`.",
    )
    vision_pages = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_VISION_PAGES,
        help_text="Of one document, which the vision model reads at most.",
    )
    chunk_characters = serializers.IntegerField(required=False, min_value=200, max_value=4000)
    uses_graph = serializers.BooleanField(
        required=False, help_text="Also find passages with the names that the best ones have."
    )
    relations_model = serializers.CharField(
        max_length=120,
        required=False,
        allow_blank=True,
        help_text="A chat model that reads relations when they are ordered. Empty: none.",
    )
    data_policy = serializers.ChoiceField(DataPolicy.choices, required=False, allow_blank=True)
    metadata = PairsField(required=False)


class NewCollection(CollectionChanges):
    visibility = serializers.ChoiceField(VISIBILITIES, default=PRIVATE)


class NewDocument(StrictSerializer):
    """One of `file`, `text` and `url`."""

    file = serializers.CharField(
        max_length=80, required=False, help_text="The id of a file of your own at `/v1/files`."
    )
    text = serializers.CharField(required=False, max_length=intake.MOST_TEXT)
    url = serializers.CharField(
        required=False, max_length=2000, help_text="A web page; again: it is looked at again."
    )
    title = serializers.CharField(required=False, max_length=300, help_text="Of a file or text.")
    recrawl_days = serializers.IntegerField(
        required=False, min_value=1, max_value=365, help_text="Of a web page: looked at again each so often."
    )
    metadata = PairsField(required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("file", "text", "url") if name in data]
        if len(given) != 1:
            raise ValidationError({"file": [_("Give one of “file”, “text” and “url”.")]})
        if "recrawl_days" in data and given != ["url"]:
            raise ValidationError({"recrawl_days": [_("Only a web page is looked at again.")]})
        if "title" in data and given == ["url"]:
            raise ValidationError({"title": [_("A web page has its own title.")]})
        return data


class RelationsOrder(StrictSerializer):
    """The preview as `GET` gave it, and the cap."""

    model = serializers.CharField(max_length=120)
    passages = serializers.IntegerField(min_value=1)
    cost = serializers.DecimalField(max_digits=24, decimal_places=12, allow_null=True)
    cap = serializers.DecimalField(max_digits=24, decimal_places=12, min_value=0)


class NewQuestion(StrictSerializer):
    text = serializers.CharField(max_length=500)
    document = serializers.UUIDField(required=False)
    char_from = serializers.IntegerField(required=False, min_value=0)
    char_to = serializers.IntegerField(required=False, min_value=1)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if ("char_from" in data) != ("char_to" in data) or ("char_from" in data and "document" not in data):
            raise ValidationError({"char_to": [_("A place is “document”, “char_from” and “char_to”.")]})
        if data.get("char_from", 0) >= data.get("char_to", 1 << 31):
            raise ValidationError({"char_to": [_("The place must end behind its beginning.")]})
        return data


class SearchQuestion(StrictSerializer):
    question = serializers.CharField(max_length=2000)
    count = serializers.IntegerField(default=8, min_value=1, max_value=50)
    leg = serializers.ChoiceField(LEGS, default="both", help_text="By words, by meaning, or both.")
    reranker = serializers.CharField(
        required=False, allow_blank=True, max_length=120, help_text="A model of the kind “rerank”."
    )
    filters = serializers.JSONField(
        required=False, help_text="Over `metadata` of documents, as at `/v1/vector_stores/…/search`."
    )


class NewHolder(StrictSerializer):
    to = serializers.ChoiceField(
        [(PERSON, "person"), (EVERYBODY, "everybody")],
        default=PERSON,
        help_text="`everybody`: of your organisation, where you may share collections.",
    )
    person = serializers.EmailField(required=False, help_text="Whose alone it is from then on.")

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if (data["to"] == PERSON) != ("person" in data):
            raise ValidationError({"person": [_("Name a person, or “everybody”.")]})
        return data


class CollectionQuery(StrictSerializer):
    q = serializers.CharField(required=False, max_length=200, help_text="Words of the name.")


class DocumentQuery(StrictSerializer):
    q = serializers.CharField(required=False, max_length=200, help_text="Words of title or address.")
    state = serializers.ChoiceField(Document.State.choices, required=False)
    source = serializers.ChoiceField(Document.Source.choices, required=False)
