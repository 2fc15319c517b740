"""“Forgotten password”: the form says the same, in the same time, whether the address belongs to somebody or
not.

Guards against: telling who exists, by words, by time or by an outage of the mail server (a worker looks the
address up and sends); a second address on an account (only `User.email` counts, allauth's table of addresses
is not asked); links to a host that the request made up (they lead to the tenant's own).
Does not guard against: many requests. allauth's rate limits do.
"""

from typing import Any

from allauth.account.forms import ResetPasswordForm
from django.conf import settings
from django.http import HttpRequest
from django.utils import translation

from accounts.work_names import PASSWORD_RESET
from tenants.work.services import order


class PasswordResetForm(ResetPasswordForm):
    """allauth's form without its look-up."""

    def clean_email(self) -> str:
        return self.cleaned_data["email"].lower()

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Have a worker send the mail, if there is somebody to send it to."""
        email = self.cleaned_data["email"]
        language = translation.get_language() or settings.LANGUAGE_CODE
        order(PASSWORD_RESET, arguments={"email": email, "language": language})
        return email
