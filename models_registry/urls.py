"""The catalogue of models."""

from django.urls import path

from models_registry import views

app_name = "models_registry"
urlpatterns = [
    path("", views.models, name="model-list"),
    path("<uuid:model_id>/", views.model, name="model-detail"),
]
