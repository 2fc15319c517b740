"""Those of allauth's pages that the house uses: nobody signs up, and addresses are changed by an admin."""

from allauth.account import views
from django.urls import path, re_path

from accounts.views import email_address
from foundation.drafts import leaving

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", leaving(views.logout), name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/set/", views.password_set, name="account_set_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("signup/", views.signup, name="account_signup"),  # allauth links to it; the adapter keeps it closed
    # read only: allauth's own view behind this name takes new addresses
    path("email/", email_address, name="account_email"),
]
