"""`/api/v1`: oneself, API keys, and which web pages may use them."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import key_of
from accounts.models import ApiKey, Project, User
from accounts.selectors import (
    get_visible_api_key,
    get_visible_project,
    get_visible_user,
    get_web_origin,
    list_visible_api_keys,
    list_web_origins,
)
from accounts.services import (
    allow_web_origin,
    create_api_key,
    forbid_web_origin,
    revoke_api_key,
    update_api_key,
    update_profile,
)
from rest.permissions import ANYONE
from rest.serializers import StrictModelSerializer, StrictSerializer
from rest.views import AtriumView, AtriumViewSet
from tenants.doors.cors import MAX_ORIGIN
from tenants.local.models import WebOrigin


class TenantSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    currency = serializers.CharField()
    language = serializers.CharField()


class AccessSerializer(serializers.Serializer):
    """By what the request came in."""

    kind = serializers.ChoiceField(["session", "api_key"])
    key_id = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())


class ProfileSerializer(StrictModelSerializer):
    class Meta:
        model = User
        fields = ["name", "language", "theme", "time_zone"]


class MeSerializer(serializers.ModelSerializer):
    """Who is asking, where, and what they may do."""

    tenant = serializers.SerializerMethodField()
    roles = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()
    access = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = [
            "id",
            "email",
            "name",
            "language",
            "theme",
            "time_zone",
            "tenant",
            "roles",
            "permissions",
            "access",
        ]

    @extend_schema(responses=TenantSerializer)
    def get_tenant(self, user: User) -> dict[str, Any]:
        return TenantSerializer(self.context["request"].tenant).data

    def get_roles(self, user: User) -> list[str]:
        return sorted(group.name for group in user.groups.all())

    def get_permissions(self, user: User) -> list[str]:
        return sorted(user.get_all_permissions())

    def get_access(self, user: User) -> dict[str, Any]:
        key = key_of(self.context["request"])
        return {
            "kind": "api_key" if key else "session",
            "key_id": key.key_id if key else None,
            "scopes": sorted(key.scopes) if key else [],
        }


class MeView(AtriumView):
    """The person who asks."""

    rights = {"get": ANYONE, "patch": ANYONE}

    @extend_schema(operation_id="me_retrieve", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(request.user, context={"request": request}).data)

    @extend_schema(operation_id="me_update", request=ProfileSerializer, responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        serializer = ProfileSerializer(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        update_profile(user=request.user, **serializer.validated_data)
        return self.get(request)


class ProjectReferenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Project
        fields = ["id", "name"]


class UserReferenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "email"]


class ApiKeySerializer(serializers.ModelSerializer):
    """A key without its secret."""

    user = UserReferenceSerializer()
    project = ProjectReferenceSerializer()
    scopes = serializers.ListField(child=serializers.ChoiceField(ApiKey.Scope.choices))
    model_names = serializers.ListField(child=serializers.CharField())
    is_usable = serializers.BooleanField()

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "key_id",
            "name",
            "user",
            "project",
            "scopes",
            "model_names",
            "requests_per_minute",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "is_usable",
            "created_at",
            "updated_at",
        ]


class CreatedApiKeySerializer(ApiKeySerializer):
    """A new key: the only answer that ever holds its secret."""

    key = serializers.CharField(help_text="The secret. It is shown this once.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class ApiKeyChanges(StrictSerializer):
    name = serializers.CharField(max_length=120)
    project = serializers.UUIDField(required=False)
    model_names = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=200
    )
    requests_per_minute = serializers.IntegerField(
        min_value=1, max_value=2_000_000_000, allow_null=True, required=False
    )
    expires_at = serializers.DateTimeField(allow_null=True, required=False)


class NewApiKey(ApiKeyChanges):
    """By a key, at most what that key has: limits that are left out are its own. Its calls count in the
    limits of that key too, also once that one is revoked.
    """

    user = serializers.UUIDField(required=False, help_text="Whose key it is. Default: your own.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(ApiKey.Scope.choices), required=False, min_length=1, max_length=10
    )


class ApiKeyViewSet(AtriumViewSet):
    """API keys: one's own, and with the right everyone's."""

    serializer_class = ApiKeySerializer
    rights = {
        "list": ANYONE,
        "retrieve": ANYONE,
        "create": ANYONE,
        "partial_update": ANYONE,
        "destroy": ANYONE,
    }

    def get_queryset(self):
        return list_visible_api_keys(self.request.user)

    def list(self, request: HttpRequest) -> Response:
        return self.page(self.get_queryset())

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_api_key(request.user, pk))

    @extend_schema(request=NewApiKey, responses={201: CreatedApiKeySerializer})
    def create(self, request: HttpRequest) -> Response:
        data = self.read_body(NewApiKey)
        return self.create_once(lambda: self._create(request, dict(data)))

    def _create(self, request: HttpRequest, data: dict[str, Any]) -> Response:
        owner = get_visible_user(request.user, data.pop("user", request.user.pk))
        if "project" in data:
            data["project"] = get_visible_project(request.user, data["project"])
        row, text = create_api_key(actor=request.user, user=owner, within=key_of(request), **data)
        row.key = text
        return Response(CreatedApiKeySerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ApiKeyChanges, responses=ApiKeySerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        key, data = get_visible_api_key(request.user, pk), self.read_body(ApiKeyChanges, partial=True)
        if "project" in data:
            data["project"] = get_visible_project(request.user, data["project"])
        return self.respond(update_api_key(actor=request.user, key=key, within=key_of(request), **data))

    @extend_schema(
        description="Revoke the key: within a second it opens nothing any more. Again changes nothing."
    )
    def destroy(self, request: HttpRequest, pk: str) -> Response:
        revoke_api_key(actor=request.user, key=get_visible_api_key(request.user, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebOriginSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebOrigin
        fields = ["id", "origin", "created_at"]


class NewWebOrigin(StrictSerializer):
    origin = serializers.CharField(max_length=MAX_ORIGIN, help_text="Such as https://app.example.org.")


class WebOriginViewSet(AtriumViewSet):
    """Origins whose web pages may read what `/v1` and `/api/v1` answer (CORS). None: no page may."""

    serializer_class = WebOriginSerializer
    rights = {
        "list": "local.view_weborigin",
        "retrieve": "local.view_weborigin",
        "create": "local.add_weborigin",
        "destroy": "local.delete_weborigin",
    }

    def get_queryset(self):
        return list_web_origins()

    def list(self, request: HttpRequest) -> Response:
        return self.page(self.get_queryset())

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_web_origin(pk))

    @extend_schema(request=NewWebOrigin, responses={201: WebOriginSerializer})
    def create(self, request: HttpRequest) -> Response:
        data = self.read_body(NewWebOrigin)
        return self.create_once(
            lambda: self.respond(allow_web_origin(actor=request.user, **data), status.HTTP_201_CREATED)
        )

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        forbid_web_origin(actor=request.user, row=get_web_origin(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)
