"""A person's own pages: profile and API keys."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("keys/", views.apikey_list, name="apikey-list"),
    path("keys/new/", views.apikey_create, name="apikey-create"),
    path("keys/<uuid:key_id>/revoke/", views.apikey_revoke, name="apikey-revoke"),
]
