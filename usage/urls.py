"""A person's own usage."""

from django.urls import path

from usage import views

app_name = "usage"
urlpatterns = [path("", views.my_usage, name="my-usage")]
