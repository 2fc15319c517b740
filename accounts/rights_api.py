"""`/api/v1`: rights of use, and limits of requests, tokens and calls."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import key_of
from accounts.key_rules import refuse_bound_key
from accounts.models import Grant, Limit
from accounts.objects import MODEL
from accounts.selectors import (
    get_role,
    get_visible_grant,
    get_visible_limit,
    get_visible_project,
    get_visible_user,
    list_visible_grants,
    list_visible_limits,
)
from accounts.services import change_limit, grant, remove_limit, revoke_grant, set_limit
from rest.permissions import ANYONE
from rest.serializers import StrictSerializer
from rest.views import AtriumViewSet
from tenants.measures import MAX_TOKENS, Measure
from tenants.selectors import get_plan_limits


class GrantSerializer(serializers.ModelSerializer):
    role: Any = serializers.SlugRelatedField("name", read_only=True)
    project: Any = serializers.PrimaryKeyRelatedField(read_only=True)
    user: Any = serializers.PrimaryKeyRelatedField(read_only=True)

    class Meta:
        model = Grant
        fields = [
            "id",
            "kind",
            "object_id",
            "object_name",
            "effect",
            "role",
            "project",
            "user",
            "created_at",
            "updated_at",
        ]


class NewGrant(StrictSerializer):
    """To a role (by its name), a project or a person: one of them."""

    kind = serializers.CharField(max_length=20, default=MODEL)
    object = serializers.CharField(
        max_length=200, help_text="A model's name or id: your own, or one that the platform offers."
    )
    effect = serializers.ChoiceField(Grant.Effect.choices, required=False)
    role = serializers.CharField(max_length=150, required=False)
    project = serializers.UUIDField(required=False)
    user = serializers.UUIDField(required=False)


class GrantViewSet(AtriumViewSet):
    """Who may use a model. Without any right of use everybody may; with one that allows, those who are named;
    who is refused is refused.
    """

    serializer_class = GrantSerializer
    rights = {
        "list": "accounts.view_grant",
        "retrieve": "accounts.view_grant",
        "create": "accounts.add_grant",
        "destroy": "accounts.delete_grant",
    }
    queryset = Grant.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_grants(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_grant(request.user, pk))

    @extend_schema(
        request=NewGrant,
        responses={201: GrantSerializer},
        description="Give a right of use, or refuse it. One that stands gets the new effect.",
    )
    def create(self, request: Request) -> Response:
        data = self.read_body(NewGrant)
        return self.create_once(lambda: self._create(request, dict(data)))

    def _create(self, request: Request, data: dict[str, Any]) -> Response:
        refuse_bound_key(key_of(request))
        if "role" in data:
            data["role"] = get_role(data["role"])
        if "project" in data:
            data["project"] = get_visible_project(request.user, data["project"])
        if "user" in data:
            data["user"] = get_visible_user(request.user, data["user"])
        row = grant(actor=request.user, target=data.pop("object"), **data)
        return self.respond(row, status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        row = get_visible_grant(request.user, pk)
        refuse_bound_key(key_of(request))
        revoke_grant(actor=request.user, grant=row)
        return Response(status=status.HTTP_204_NO_CONTENT)


class LimitSerializer(serializers.ModelSerializer):
    subject_id = serializers.UUIDField(
        allow_null=True, help_text="The project, user, key or model; null for the organisation."
    )

    class Meta:
        model = Limit
        fields = ["id", "level", "subject_id", "measure", "amount", "created_at", "updated_at"]


class PlanLimitSerializer(serializers.Serializer):
    measure = serializers.ChoiceField(Measure.choices)
    amount = serializers.IntegerField()


class LimitChanges(StrictSerializer):
    amount = serializers.IntegerField(min_value=1, max_value=MAX_TOKENS)


class NewLimit(LimitChanges):
    level = serializers.ChoiceField(Limit.Level.choices)
    subject_id = serializers.UUIDField(
        required=False, help_text="The project, user, key or model; not for the organisation's limit."
    )
    measure = serializers.ChoiceField(Measure.choices)


class LimitViewSet(AtriumViewSet):
    """How many requests, tokens and calls at once: the limits that bind you; with the right, all."""

    serializer_class = LimitSerializer
    rights = {
        "list": ANYONE,
        "retrieve": ANYONE,
        "create": "accounts.change_limit",
        "partial_update": "accounts.change_limit",
        "destroy": "accounts.delete_limit",
        "plan": ANYONE,
    }
    queryset = Limit.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_limits(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_limit(request.user, pk))

    @extend_schema(
        request=NewLimit,
        responses={201: LimitSerializer},
        description="Set a limit. One of the same level, subject and measure gets the new amount.",
    )
    def create(self, request: Request) -> Response:
        data = self.read_body(NewLimit)
        return self.create_once(
            lambda: self.respond(
                set_limit(actor=request.user, within=key_of(request), **data), status.HTTP_201_CREATED
            )
        )

    @extend_schema(request=LimitChanges, responses=LimitSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        row, data = get_visible_limit(request.user, pk), self.read_body(LimitChanges)
        return self.respond(change_limit(actor=request.user, limit=row, within=key_of(request), **data))

    def destroy(self, request: Request, pk: str) -> Response:
        row = get_visible_limit(request.user, pk)
        remove_limit(actor=request.user, limit=row, within=key_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=PlanLimitSerializer(many=True))
    @action(detail=False, methods=["get"], serializer_class=PlanLimitSerializer, pagination_class=None)
    def plan(self, request: HttpRequest) -> Response:
        """The limits of the organisation's plan. Only the operator of the platform changes them."""
        rows = [{"measure": name, "amount": amount} for name, amount in sorted(get_plan_limits().items())]
        return Response(PlanLimitSerializer(rows, many=True).data)
