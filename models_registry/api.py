"""`/api/v1`: the tenant's own connections, models and prices. API keys of
providers go in and never come out.
"""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import key_of
from accounts.key_rules import refuse_bound_key
from models_registry.base import LANGUAGES_HELP, MAX_NAMES, MAX_TIMEOUT_S, MAX_WEIGHT, STAND_INS_HELP
from models_registry.kinds import Channel, Location, ModelKind, TokenLimitName
from models_registry.languages import CODES
from models_registry.models import Connection, Model, ModelEndpoint, ModelPrice
from models_registry.providers.table import kind_choices
from models_registry.selectors import (
    get_visible_connection,
    get_visible_model,
    list_visible_connections,
    list_visible_models,
)
from models_registry.services import (
    EndpointSpec,
    add_connection,
    add_model,
    remove_connection,
    remove_model,
    set_endpoints,
    set_model,
    set_model_price,
    sync_catalogue,
    test_connection,
    update_connection,
)
from models_registry.services.connections import TIMEOUTS
from rest.serializers import StrictSerializer
from rest.views import AtriumViewSet

AMOUNT = {"max_digits": 24, "decimal_places": 12, "min_value": 0}


def _seconds(what: str, most: int = MAX_TIMEOUT_S) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=1,
        max_value=most,
        required=False,
        allow_null=True,
        help_text=f"Seconds {what}. Null: as usual for the kind.",
    )


class ConnectionSerializer(serializers.ModelSerializer):
    has_secret = serializers.BooleanField()
    last_error = serializers.CharField(source="failure", help_text="In the language of who asks.")

    class Meta:
        model = Connection
        fields = [
            "id",
            "name",
            "kind",
            "base_url",
            "has_secret",
            "location",
            "no_storage",
            "is_enabled",
            *TIMEOUTS,
            "token_limit_name",
            "allow_private",
            "last_checked_at",
            "last_error",
            "created_at",
            "updated_at",
        ]


class ConnectionChanges(StrictSerializer):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(kind_choices())
    base_url = serializers.CharField(max_length=500, required=False)
    secret = serializers.CharField(
        max_length=4_000,
        required=False,
        write_only=True,
        allow_blank=True,
        help_text="The provider's API key. Empty: none. Never given back.",
    )
    location = serializers.ChoiceField(Location.choices, required=False, allow_blank=True)
    no_storage = serializers.BooleanField(required=False)
    is_enabled = serializers.BooleanField(required=False)
    connect_timeout_s = _seconds("to connect", 60)
    first_byte_timeout_s = _seconds("to the first piece of an answer")
    idle_timeout_s = _seconds("between two pieces")
    total_timeout_s = _seconds("for a whole answer")
    token_limit_name = serializers.ChoiceField(TokenLimitName.choices, required=False, allow_blank=True)


class ConnectionTestSerializer(serializers.Serializer):
    is_ok = serializers.BooleanField()
    latency_ms = serializers.IntegerField()
    model_count = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)


class SyncReportSerializer(serializers.Serializer):
    added = serializers.ListField(child=serializers.CharField())
    unpriced = serializers.ListField(
        child=serializers.CharField(),
        help_text="Those of the added and returned ones that stay switched off until they are priced.",
    )
    proposed = serializers.ListField(
        child=serializers.CharField(),
        help_text="Those of the added ones whose price the provider's list names: see `listed_price`.",
    )
    returned = serializers.ListField(
        child=serializers.CharField(), help_text="Those that had vanished and are listed again."
    )
    vanished = serializers.ListField(child=serializers.CharField())
    kept = serializers.IntegerField(help_text="How many stood there and were not gone.")
    skipped = serializers.IntegerField()
    refused = serializers.ListField(child=serializers.CharField())


class RegistryViewSet(AtriumViewSet):
    """What a call reaches and costs: a key whose own limits hang on it changes nothing here."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in SAFE_METHODS:
            refuse_bound_key(key_of(request))


class ConnectionViewSet(RegistryViewSet):
    """Ways to providers and model servers."""

    serializer_class = ConnectionSerializer
    rights = {
        "list": "models_registry.view_connection",
        "retrieve": "models_registry.view_connection",
        "create": "models_registry.add_connection",
        "partial_update": "models_registry.change_connection",
        "destroy": "models_registry.delete_connection",
        "test": "models_registry.change_connection",
        "sync": "models_registry.change_connection",
    }
    queryset = Connection.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_connections(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_connection(request.user, pk))

    @extend_schema(request=ConnectionChanges, responses={201: ConnectionSerializer})
    def create(self, request: HttpRequest) -> Response:
        data = self.read_body(ConnectionChanges)
        return self.create_once(
            lambda: self.respond(add_connection(actor=request.user, **data), status.HTTP_201_CREATED)
        )

    @extend_schema(request=ConnectionChanges, responses=ConnectionSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        connection = get_visible_connection(request.user, pk)
        return self.respond(
            update_connection(
                actor=request.user, connection=connection, **self.read_body(ConnectionChanges, partial=True)
            )
        )

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        remove_connection(actor=request.user, connection=get_visible_connection(request.user, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=ConnectionTestSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: HttpRequest, pk: str) -> Response:
        """Ask the provider whether it answers. A failure is an answer too: `is_ok` is false."""
        return Response(
            ConnectionTestSerializer(
                test_connection(actor=request.user, connection=get_visible_connection(request.user, pk))
            ).data
        )

    @extend_schema(request=None, responses=SyncReportSerializer)
    @action(detail=True, methods=["post"])
    def sync(self, request: HttpRequest, pk: str) -> Response:
        """Bring the connection's models in line with what the provider lists."""
        return Response(
            SyncReportSerializer(
                sync_catalogue(actor=request.user, connection=get_visible_connection(request.user, pk))
            ).data
        )


class EndpointSerializer(serializers.ModelSerializer):
    connection = serializers.PrimaryKeyRelatedField(read_only=True)

    class Meta:
        model = ModelEndpoint
        fields = ["connection", "upstream_name", "weight"]


class NewEndpoint(StrictSerializer):
    connection = serializers.UUIDField()
    upstream_name = serializers.CharField(
        max_length=200, required=False, help_text="The model's name there. Default: as at its own connection."
    )
    weight = serializers.IntegerField(min_value=0, max_value=MAX_WEIGHT, required=False)


class ModelSerializer(serializers.ModelSerializer):
    """`endpoints` are those beside the model's own connection."""

    connection = serializers.PrimaryKeyRelatedField(read_only=True)
    endpoints = EndpointSerializer(many=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())
    aliases = serializers.ListField(child=serializers.CharField())
    fallbacks = serializers.ListField(child=serializers.CharField())
    waits_for_price = serializers.BooleanField(
        read_only=True, help_text="It is off for lack of a price: its first one switches it on, 0 too."
    )
    listed_price = serializers.DictField(
        child=serializers.CharField(),
        source="proposed_price",
        allow_null=True,
        read_only=True,
        help_text="What the provider's catalogue says: its currency, and a million tokens of each class. "
        "Nothing is billed by it.",
    )

    class Meta:
        model = Model
        fields = [
            "id",
            "name",
            "label",
            "connection",
            "upstream_name",
            "weight",
            "endpoints",
            "aliases",
            "fallbacks",
            "kind",
            "context_window",
            "max_output_tokens",
            "default_max_output_tokens",
            "capabilities",
            "languages",
            "licence",
            "channel",
            "stable_since",
            "retire_on",
            "successor",
            "is_enabled",
            "waits_for_price",
            "is_default",
            "is_demo",
            "listed_at",
            "listed_price",
            "vanished_at",
            "notes",
            "created_at",
            "updated_at",
        ]


def _names(help_text: str | Promise) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=120), required=False, max_length=MAX_NAMES, help_text=help_text
    )


class ModelChanges(StrictSerializer):
    name = serializers.CharField(max_length=120)
    label = serializers.CharField(max_length=120, required=False, allow_blank=True)
    upstream_name = serializers.CharField(max_length=200, required=False)
    kind = serializers.ChoiceField(ModelKind.choices, required=False)
    context_window = serializers.IntegerField(
        min_value=1, max_value=2_000_000_000, required=False, allow_null=True
    )
    max_output_tokens = serializers.IntegerField(
        min_value=1, max_value=2_000_000_000, required=False, allow_null=True
    )
    default_max_output_tokens = serializers.IntegerField(min_value=1, max_value=2_000_000_000, required=False)
    capabilities = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=40
    )
    languages = serializers.ListField(
        child=serializers.CharField(max_length=8),
        required=False,
        max_length=len(CODES),
        help_text=LANGUAGES_HELP,
    )
    licence = serializers.CharField(max_length=80, required=False, allow_blank=True)
    channel = serializers.ChoiceField(Channel.choices, required=False)
    retire_on = serializers.DateField(required=False, allow_null=True)
    successor = serializers.CharField(max_length=120, required=False, allow_blank=True)
    weight = serializers.IntegerField(min_value=0, max_value=MAX_WEIGHT, required=False)
    endpoints = NewEndpoint(many=True, required=False, help_text="Replaces all.")
    aliases = _names("Other names under which it can be called.")
    fallbacks = _names(STAND_INS_HELP)
    is_enabled = serializers.BooleanField(required=False)
    is_default = serializers.BooleanField(required=False)
    notes = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class NewModel(ModelChanges):
    connection = serializers.UUIDField()


class ModelPriceSerializer(serializers.ModelSerializer):
    """`amounts` has the classes with a price of their own: tokens per million, images each, milliseconds per
    second. The four beside it tell what a million tokens cost, by a price of their own or not.
    """

    amounts = serializers.DictField(child=serializers.CharField(), source="own_texts")
    input = serializers.DecimalField(24, 12, normalize_output=True)
    cached = serializers.DecimalField(24, 12, normalize_output=True)
    output = serializers.DecimalField(24, 12, normalize_output=True)
    reasoning = serializers.DecimalField(24, 12, normalize_output=True)

    class Meta:
        model = ModelPrice
        fields = [
            "id",
            "valid_from",
            "currency",
            "amounts",
            "input",
            "cached",
            "output",
            "reasoning",
            "created_at",
        ]


class NewPrice(StrictSerializer):
    """What is left out stays as it was; without an earlier price, cached input follows input and reasoning
    follows output. `amounts` takes every class, the four of a chat's call may stand beside it.
    """

    amounts = serializers.DictField(child=serializers.DecimalField(**AMOUNT), required=False)
    input = serializers.DecimalField(required=False, **AMOUNT)
    cached = serializers.DecimalField(required=False, **AMOUNT)
    output = serializers.DecimalField(required=False, **AMOUNT)
    reasoning = serializers.DecimalField(required=False, **AMOUNT)
    valid_from = serializers.DateTimeField(required=False, help_text="From when on. Default: now.")

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if twice := sorted(data.get("amounts", {}).keys() & data.keys()):
            raise serializers.ValidationError({twice[0]: [_("This price is given twice.")]})
        return data


def take_endpoints(request: HttpRequest, data: dict[str, Any]) -> list[EndpointSpec] | None:
    """The endpoints in a body, taken out of it; None if it says nothing of them."""
    given = data.pop("endpoints", None)
    if given is None:
        return None
    return [
        EndpointSpec(
            connection=get_visible_connection(request.user, one["connection"]),
            upstream_name=one.get("upstream_name", ""),
            weight=one.get("weight", 1),
        )
        for one in given
    ]


class ModelViewSet(RegistryViewSet):
    """The tenant's own models. Those of the platform are listed, with these, at `/v1/models`."""

    serializer_class = ModelSerializer
    rights = {
        "list": "models_registry.view_model",
        "retrieve": "models_registry.view_model",
        "create": "models_registry.add_model",
        "partial_update": "models_registry.change_model",
        "destroy": "models_registry.delete_model",
        "prices": "models_registry.view_model",
        "set_price": "models_registry.add_modelprice",
    }
    queryset = Model.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_models(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_model(request.user, pk))

    @extend_schema(request=NewModel, responses={201: ModelSerializer})
    def create(self, request: HttpRequest) -> Response:
        data = self.read_body(NewModel)
        return self.create_once(lambda: self._create(request, dict(data)))

    def _create(self, request: HttpRequest, data: dict[str, Any]) -> Response:
        connection = get_visible_connection(request.user, data.pop("connection"))
        endpoints = take_endpoints(request, data)
        with transaction.atomic():
            model = add_model(actor=request.user, connection=connection, waits_for_price=True, **data)
            if endpoints is not None:
                model = set_endpoints(actor=request.user, model=model, endpoints=endpoints)
        return self.respond(model, status.HTTP_201_CREATED)

    @extend_schema(request=ModelChanges, responses=ModelSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        model = get_visible_model(request.user, pk)
        changes = dict(self.read_body(ModelChanges, partial=True))
        endpoints = take_endpoints(request, changes)
        with transaction.atomic():
            model = set_model(actor=request.user, model=model, **changes)
            if endpoints is not None:
                model = set_endpoints(actor=request.user, model=model, endpoints=endpoints)
        return self.respond(model)

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        remove_model(actor=request.user, model=get_visible_model(request.user, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=ModelPriceSerializer(many=True), filters=True)
    @action(
        detail=True,
        methods=["get"],
        serializer_class=ModelPriceSerializer,
        is_paged=True,
        ordering=("-valid_from", "-pk"),
    )
    def prices(self, request: HttpRequest, pk: str) -> Response:
        """A model's prices, the newest first."""
        return self.page(get_visible_model(request.user, pk).prices.all(), ModelPriceSerializer)

    @extend_schema(request=NewPrice, responses={201: ModelPriceSerializer})
    @prices.mapping.post
    def set_price(self, request: HttpRequest, pk: str) -> Response:
        """Set a new price, from now or from a later moment on."""
        price = set_model_price(
            actor=request.user, model=get_visible_model(request.user, pk), **self.read_body(NewPrice)
        )
        return Response(ModelPriceSerializer(price).data, status=status.HTTP_201_CREATED)
