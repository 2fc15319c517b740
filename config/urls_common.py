"""What every host answers."""

from django.urls import path
from django.views.i18n import set_language

from config import views

urlpatterns = [
    path("healthz/live", views.live, name="healthz-live"),
    path("healthz/ready", views.ready, name="healthz-ready"),
    path("i18n/setlang/", set_language, name="set_language"),
]
