"""`/api/v1`: one's own conversations with their messages."""

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from prompts.branches import list_branch
from prompts.failures import explain_failure
from prompts.models import Conversation, Message, Part
from prompts.selectors import get_visible_conversation, list_visible_conversations
from prompts.services import delete_conversation, rename_conversation
from prompts.sources import hide_data
from rest.permissions import ANYONE
from rest.serializers import StrictSerializer
from rest.views import AtriumViewSet

AMOUNT = {"max_digits": 24, "decimal_places": 12, "normalize_output": True}


class ConversationSerializer(serializers.ModelSerializer):
    total_cost = serializers.DecimalField(**AMOUNT)
    project = serializers.PrimaryKeyRelatedField(
        read_only=True, help_text="On which it is booked; null: the default project."
    )

    leaf = serializers.PrimaryKeyRelatedField(
        read_only=True,
        help_text="The last message of the branch that was written to last.",
    )

    class Meta:
        model = Conversation
        fields = [
            "id",
            "title",
            "leaf",
            "project",
            "model_name",
            "total_tokens",
            "total_cost",
            "currency",
            "last_message_at",
            "created_at",
            "updated_at",
        ]


class PartSerializer(serializers.ModelSerializer):
    """A piece of a message: text, or what was thought, looked up or given for it."""

    class Meta:
        model = Part
        fields = ["kind", "text", "data", "duration_ms"]


class MessageSerializer(serializers.ModelSerializer):
    """A message as it was written. An answer under way grows."""

    parent = serializers.PrimaryKeyRelatedField(
        read_only=True,
        help_text="The message it follows; those that follow the same one are other versions of it.",
    )
    position = serializers.IntegerField(read_only=True, help_text="Its place on its branch, from 1.")
    text = serializers.CharField(read_only=True, help_text="The text of all its parts of that kind.")
    parts = serializers.SerializerMethodField()
    cost = serializers.DecimalField(**AMOUNT)
    error_message = serializers.SerializerMethodField(help_text="In the reader's language, where it can be.")

    class Meta:
        model = Message
        fields = [
            "id",
            "parent",
            "position",
            "role",
            "text",
            "parts",
            "status",
            "finish_reason",
            "model_name",
            "request_id",
            "error_code",
            "error_message",
            "input_tokens",
            "output_tokens",
            "cost",
            "currency",
            "is_estimated",
            "created_at",
            "updated_at",
        ]

    @extend_schema_field(PartSerializer(many=True))
    def get_parts(self, message: Message) -> list[dict]:
        """Sources that its person may not read any more are told by their number alone."""
        parts = list(message.parts.all())
        data = hide_data(self.context["request"].user, parts)
        shown = PartSerializer(parts, many=True).data
        return [{**part, "data": one} for part, one in zip(shown, data, strict=True)]

    def get_error_message(self, message: Message) -> str:
        return explain_failure(message)[0]


class NewTitle(StrictSerializer):
    title = serializers.CharField(max_length=200)


class ConversationQuery(StrictSerializer):
    q = serializers.CharField(required=False, max_length=200, help_text="Words of the title.")


class MessageQuery(StrictSerializer):
    all_branches = serializers.BooleanField(
        required=False, help_text="Also what is not on the branch that was written to last."
    )


class ConversationViewSet(AtriumViewSet):
    """Your own conversations. New ones begin in the chat; programs call `/v1/chat/completions`."""

    serializer_class = ConversationSerializer
    rights = {
        "list": ANYONE,
        "retrieve": ANYONE,
        "partial_update": ANYONE,
        "destroy": ANYONE,
        "messages": ANYONE,
    }
    query_serializers = {"list": ConversationQuery, "messages": MessageQuery}
    ordering = ("-last_message_at", "-pk")

    def get_queryset(self):
        return (
            list_visible_conversations(self.request.user, self.query.get("q", ""))
            if hasattr(self, "query")
            else Conversation.objects.none()
        )

    @extend_schema(parameters=[ConversationQuery])
    def list(self, request: HttpRequest) -> Response:
        return self.page(self.get_queryset())

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_conversation(request.user, pk))

    @extend_schema(request=NewTitle, responses=ConversationSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        conversation = get_visible_conversation(request.user, pk)
        return self.respond(
            rename_conversation(conversation=conversation, title=self.read_body(NewTitle)["title"])
        )

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        delete_conversation(conversation=get_visible_conversation(request.user, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(parameters=[MessageQuery], responses=MessageSerializer(many=True), filters=True)
    @action(
        detail=True,
        methods=["get"],
        serializer_class=MessageSerializer,
        is_paged=True,
        ordering=("position", "pk"),
    )
    def messages(self, request: HttpRequest, pk: str) -> Response:
        """The messages of a conversation, from the first to the last: of the branch that was written to
        last, or of all (a tree: each names its `parent`).
        """
        conversation = get_visible_conversation(request.user, pk)
        if self.query.get("all_branches"):
            return self.page(conversation.messages.prefetch_related("parts"))
        return self.page(list_branch(conversation.leaf_id))
