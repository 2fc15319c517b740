"""An operator's own page. Operators have no API keys."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [path("profile/", views.profile, name="profile")]
