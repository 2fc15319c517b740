"""`/api/v1`: the rooms' view sets put together, with their OpenAPI document and its pages."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import ApiKeyViewSet, MeView, WebOriginViewSet
from accounts.projects_api import ProjectViewSet
from accounts.rights_api import GrantViewSet, LimitViewSet
from config.api_docs import DocsView, OpenAPIView
from models_registry.api import ConnectionViewSet, ModelViewSet
from prompts.api import ConversationViewSet
from rag.api.collections import CollectionViewSet
from rag.api.documents import DocumentViewSet, SavedQuestionViewSet
from usage.api import BudgetViewSet, UsageEventViewSet, UsageReportView

router = SimpleRouter(use_regex_path=False)
router.register("api-keys", ApiKeyViewSet, basename="api-apikey")
router.register("budgets", BudgetViewSet, basename="api-budget")
router.register("collections", CollectionViewSet, basename="api-collection")
router.register("connections", ConnectionViewSet, basename="api-connection")
router.register("conversations", ConversationViewSet, basename="api-conversation")
router.register("documents", DocumentViewSet, basename="api-document")
router.register("grants", GrantViewSet, basename="api-grant")
router.register("limits", LimitViewSet, basename="api-limit")
router.register("models", ModelViewSet, basename="api-model")
router.register("projects", ProjectViewSet, basename="api-project")
router.register("saved-questions", SavedQuestionViewSet, basename="api-saved-question")
router.register("usage/events", UsageEventViewSet, basename="api-usage-event")
router.register("web-origins", WebOriginViewSet, basename="api-weborigin")

urlpatterns = [
    *router.urls,
    path("me/", MeView.as_view(), name="api-me"),
    path("usage/report/", UsageReportView.as_view(), name="api-usage-report"),
    path("openapi.json", OpenAPIView.as_view(), name="openapi"),
    path("docs/", DocsView.as_view(url_name="openapi"), name="api-docs"),
]
