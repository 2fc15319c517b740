"""What goes out of `/api/v1` in this room."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gateway.files.shapes import PURPOSES
from rag.models import Collection, Document, SavedQuestion
from rag.progress import describe_collection, describe_document

PRIVATE, SHARED = "private", "shared"
VISIBILITIES = [(PRIVATE, "private"), (SHARED, "shared")]


class CollectionProgressSerializer(serializers.Serializer):
    document_counts = serializers.DictField(child=serializers.IntegerField(), help_text="By state.")
    chunk_count = serializers.IntegerField(help_text="Passages that are found.")
    vector_count = serializers.IntegerField(help_text="Of these, found by meaning too.")
    is_complete = serializers.BooleanField()
    is_rebuilding = serializers.BooleanField(help_text="Another index is made beside the one that answers.")
    problem = serializers.CharField(help_text="Why it does not go on for now.")
    next_at = serializers.DateTimeField(allow_null=True, help_text="When it is tried again.")


class CollectionSerializer(serializers.ModelSerializer):
    """Documents that are searched together."""

    visibility = serializers.SerializerMethodField(
        help_text="`private`: its owner's alone; `shared`: by the rights of use."
    )
    progress = serializers.SerializerMethodField()

    class Meta:
        model = Collection
        fields = [
            "id",
            "name",
            "description",
            "visibility",
            "languages",
            "engine",
            "embedding_model",
            "dimensions",
            "vision_model",
            "page_reader",
            "vision_pages",
            "chunk_characters",
            "uses_graph",
            "relations_model",
            "data_policy",
            "metadata",
            "progress",
            "created_at",
            "updated_at",
        ]

    @extend_schema_field(serializers.ChoiceField(VISIBILITIES))
    def get_visibility(self, row: Collection) -> str:
        return SHARED if row.owner_id is None else PRIVATE

    @extend_schema_field(CollectionProgressSerializer)
    def get_progress(self, row: Collection) -> dict[str, Any]:
        known = self.context.get("progress", {})
        return CollectionProgressSerializer(known.get(row.pk) or describe_collection(row)).data


class StageSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()


class DocumentSerializer(serializers.ModelSerializer):
    """One version of a file, page, text or mail. `why`: the reason of a failure, or what was left out."""

    file = serializers.SerializerMethodField(help_text="Its file at `/v1/files`, where it is one of these.")
    size_bytes = serializers.SerializerMethodField()
    stages = serializers.SerializerMethodField(help_text="How far its reading is.")
    why = serializers.SerializerMethodField(help_text="In the reader's language, where it can be.")
    can_retry = serializers.SerializerMethodField()
    can_cancel = serializers.SerializerMethodField()
    parent = serializers.PrimaryKeyRelatedField(read_only=True, help_text="The mail that brought it.")

    class Meta:
        model = Document
        fields = [
            "id",
            "collection",
            "title",
            "source",
            "address",
            "file",
            "parent",
            "version",
            "state",
            "stages",
            "why",
            "can_retry",
            "can_cancel",
            "size_bytes",
            "page_count",
            "scanned_page_count",
            "read_by",
            "recrawl_days",
            "fetched_at",
            "metadata",
            "facts",
            "created_at",
            "updated_at",
        ]

    def _progress(self, row: Document) -> Any:
        known = self.context.setdefault("progress", {})
        if row.pk not in known:
            known[row.pk] = describe_document(row)
        return known[row.pk]

    def get_file(self, row: Document) -> str | None:
        is_own = row.file is not None and row.file.purpose in PURPOSES
        return f"file-{row.file.pk.hex}" if is_own and row.file is not None else None

    def get_size_bytes(self, row: Document) -> int | None:
        return row.file.size_bytes if row.file is not None else None

    @extend_schema_field(StageSerializer(many=True))
    def get_stages(self, row: Document) -> list[dict[str, Any]]:
        return StageSerializer(self._progress(row).stages, many=True).data

    def get_why(self, row: Document) -> str:
        return str(self._progress(row).why)

    def get_can_retry(self, row: Document) -> bool:
        return self._progress(row).can_retry

    def get_can_cancel(self, row: Document) -> bool:
        return self._progress(row).can_cancel


class QuestionSerializer(serializers.ModelSerializer):
    """A question, and where its answer is known to stand: in the document, or in a piece of its text.
    `is_outdated`: the document has a new version without that piece; saved again with its place, it counts.
    """

    class Meta:
        model = SavedQuestion
        fields = ["id", "collection", "text", "document", "char_from", "char_to", "is_outdated", "created_at"]


class HitSerializer(serializers.Serializer):
    """A passage, with where it stands."""

    document = serializers.UUIDField(source="document_id")
    title = serializers.CharField()
    text = serializers.CharField()
    headings = serializers.ListField(child=serializers.CharField())
    page_from = serializers.IntegerField(allow_null=True)
    page_to = serializers.IntegerField(allow_null=True)
    char_from = serializers.IntegerField(help_text="In the document's text.")
    char_to = serializers.IntegerField()
    score = serializers.FloatField(help_text="From 0 to 1.")
    word_score = serializers.FloatField(help_text="BM25.")
    similarity = serializers.FloatField(allow_null=True, help_text="Cosine; null: no vector.")


class GapSerializer(serializers.Serializer):
    """What was not searched by meaning: `no_model`, `no_vectors`, `partly`, `too_slow`, an error's code."""

    why = serializers.CharField()
    model = serializers.CharField()


class TraceSerializer(serializers.Serializer):
    """How the search went."""

    leg = serializers.CharField(help_text="What was searched: `both`, `words` or `vectors`.")
    gaps = GapSerializer(many=True)
    policy = serializers.CharField(help_text="Where what was found may go.")
    reranker = serializers.CharField()
    reranker_error = serializers.CharField()
    embedding_ms = serializers.IntegerField()
    search_ms = serializers.IntegerField()
    reranking_ms = serializers.IntegerField()
    cost = serializers.DecimalField(max_digits=24, decimal_places=12, normalize_output=True)
    currency = serializers.CharField()


class FoundSerializer(serializers.Serializer):
    hits = HitSerializer(many=True)
    trace = TraceSerializer()


class PreviewSerializer(serializers.Serializer):
    """What an order would read, as estimated."""

    model = serializers.CharField()
    passages = serializers.IntegerField(source="passage_count")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost = serializers.DecimalField(
        max_digits=24, decimal_places=12, allow_null=True, normalize_output=True, help_text="null: no price."
    )
    currency = serializers.CharField()
    cap_is_money = serializers.BooleanField(source="is_in_money", help_text="Else it is passages.")
    problem = serializers.CharField(help_text="Why nothing can be ordered.")


class RelationsStateSerializer(serializers.Serializer):
    state = serializers.CharField(
        help_text="Of the newest order: `queued`, `running`, `done`, `failed`, `cancelled`; empty: none."
    )
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    cost = serializers.DecimalField(max_digits=24, decimal_places=12, normalize_output=True)
    currency = serializers.CharField()
    why = serializers.CharField(help_text="Why it stopped, or waits.")
    passage_count = serializers.IntegerField(source="counts.passage_count")
    read_count = serializers.IntegerField(source="counts.read_count")
    unread_count = serializers.IntegerField(source="counts.unread_count", help_text="Asked for in vain.")
    relation_count = serializers.IntegerField(source="counts.relation_count")


class GraphSerializer(serializers.Serializer):
    preview = PreviewSerializer()
    state = RelationsStateSerializer()
