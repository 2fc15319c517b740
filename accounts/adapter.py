"""allauth's hooks: nobody signs up, who is locked out of the log-in reads for how long, and mails speak the
language of whoever gets them.
"""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import ngettext

from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request) -> bool:
        return False

    def validation_error(self, code: str, *args: object) -> ValidationError:
        if code != "too_many_login_attempts":
            return super().validation_error(code, *args)
        minutes = settings.LOGIN_LOCK_MINUTES
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
