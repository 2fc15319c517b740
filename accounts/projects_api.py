"""`/api/v1`: projects, where their data may go, and what “auto” chooses there."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import key_of
from accounts.key_rules import refuse_bound_key
from accounts.models import MAX_AUTO_MODELS, Project
from accounts.selectors import get_visible_project, list_visible_projects
from accounts.services import (
    create_project,
    delete_project,
    rename_project,
    set_auto_models,
    set_data_policy,
)
from rest.permissions import ANYONE
from rest.serializers import StrictSerializer
from rest.views import AtriumViewSet
from tenants.data_policy import DataPolicy


class ProjectSerializer(serializers.ModelSerializer):
    auto_models = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Project
        fields = ["id", "name", "is_default", "data_policy", "auto_models", "created_at", "updated_at"]


class ProjectChanges(StrictSerializer):
    name = serializers.CharField(max_length=120)
    data_policy = serializers.ChoiceField(
        DataPolicy.choices,
        allow_blank=True,
        required=False,
        help_text="Where the data of its calls may go. That of the organisation binds too.",
    )
    auto_models = serializers.ListField(
        child=serializers.CharField(max_length=120),
        required=False,
        max_length=MAX_AUTO_MODELS,
        help_text="Models among which “auto” chooses, the first that can do what a call asks for. Empty: as "
        "in the default project, and where that names none, the cheapest.",
    )


class ProjectViewSet(AtriumViewSet):
    """What usage, budgets and keys are booked on: those you may book on; with the right, all."""

    serializer_class = ProjectSerializer
    rights = {
        "list": ANYONE,
        "retrieve": ANYONE,
        "create": "accounts.add_project",
        "partial_update": "accounts.change_project",
        "destroy": "accounts.delete_project",
    }
    queryset = Project.objects.none()  # for the OpenAPI document; rows come from the selectors

    def list(self, request: HttpRequest) -> Response:
        return self.page(list_visible_projects(request.user))

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_visible_project(request.user, pk))

    @extend_schema(request=ProjectChanges, responses={201: ProjectSerializer})
    def create(self, request: Request) -> Response:
        data = dict(self.read_body(ProjectChanges))
        return self.create_once(lambda: self._create(request, data))

    def _create(self, request: Request, data: dict[str, Any]) -> Response:
        refuse_bound_key(key_of(request))
        row = create_project(actor=request.user, name=data.pop("name"))
        return self.respond(_change(request, row, data), status.HTTP_201_CREATED)

    @extend_schema(request=ProjectChanges, responses=ProjectSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        row, data = get_visible_project(request.user, pk), self.read_body(ProjectChanges, partial=True)
        refuse_bound_key(key_of(request))
        return self.respond(_change(request, row, data))

    def destroy(self, request: Request, pk: str) -> Response:
        row = get_visible_project(request.user, pk)
        refuse_bound_key(key_of(request))
        delete_project(actor=request.user, project=row)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _change(request: Request, row: Project, data: dict[str, Any]) -> Project:
    if "name" in data:
        rename_project(actor=request.user, project=row, name=data["name"])
    if "data_policy" in data:
        set_data_policy(actor=request.user, project=row, data_policy=data["data_policy"])
    if "auto_models" in data:
        set_auto_models(actor=request.user, project=row, names=data["auto_models"])
    return row
