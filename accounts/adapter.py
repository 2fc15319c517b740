"""allauth's hooks: nobody signs up, who is locked out of the log-in reads for how long, and mails speak the
language of whoever gets them.
"""

import math
import time

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import ngettext

from accounts.models import User


def find_lock_s(request: HttpRequest, key: str) -> float:
    """For how many seconds no log-in is tried, after too many wrong ones of an account or an address."""
    limit = {"app": "allauth.account", "action": "login_failed"}
    wait_s = 0.0
    for rate in ratelimit.get_rates(**limit):
        tries = cache.get(ratelimit.get_cache_key(request, **limit, rate=rate, key=key), [])
        if len(tries) >= rate.amount:  # the newest first
            wait_s = max(wait_s, tries[rate.amount - 1] + rate.duration - time.time())
    return wait_s


class AccountAdapter(DefaultAccountAdapter):
    _lock_s = 0.0

    def is_open_for_signup(self, request) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials) -> None:
        self._lock_s = find_lock_s(request, self._get_login_attempts_cache_key(request, **credentials))
        super().pre_authenticate(request, **credentials)

    def validation_error(self, code: str, *args: object) -> ValidationError:
        if code != "too_many_login_attempts":
            return super().validation_error(code, *args)
        minutes = max(1, math.ceil(self._lock_s / 60))
        text = ngettext(
            "Too many failed tries. Try again in %(minutes)d minute.",
            "Too many failed tries. Try again in %(minutes)d minutes.",
            minutes,
        )
        return ValidationError(text % {"minutes": minutes}, code=code)

    def set_password(self, user: User, password: str) -> None:
        """Write the password alone: allauth writes the whole row, which may be old, and a lock-out
        in the meantime would be taken back.
        """
        user.set_password(password)
        user.save(update_fields=["password", "updated_at"])

    def format_email_subject(self, subject: str) -> str:
        """The organisation's name stands first, so that nobody wonders who writes."""
        door = getattr(context.request, "tenant", None)
        return f"{door.name if door else 'Atrium'}: {subject}"

    def send_mail(self, template_prefix, email, context: dict) -> None:
        """Mails are written in the language of the person who gets them."""
        user = context.get("user")
        with translation.override((user.language if user else "") or translation.get_language()):
            super().send_mail(template_prefix, email, context)
