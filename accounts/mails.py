"""The mails that lead to a page on which a person chooses a password: the first one, and a new one."""

from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.tokens import TenantPasswordResetTokens
from tenants.context import find_tenant
from tenants.links import base_url


def send_invitation_mail(user: User, organisation: str) -> None:
    """Tell a person, in their language, where to choose a password and log in."""
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {
            "user": user,
            "organisation": organisation,
            "link": _make_link(user),
            "host": base_url(find_tenant()),
        }
        subject = _("Your access to %(organisation)s") % {"organisation": _one_line(organisation)}
        send_mail(subject, render_to_string("accounts/mail/invitation.txt", context), None, [user.email])


def send_password_reset_mail(user: User, organisation: str, language: str) -> None:
    """Tell a person where to choose a new password, in their language, or in the one they asked in."""
    with translation.override(user.language or language):
        context = {"user": user, "link": _make_link(user), "host": base_url(find_tenant())}
        wish = _("Choose a new password")
        subject = f"{_one_line(organisation)}: {wish}"
        send_mail(subject, render_to_string("accounts/mail/password_reset.txt", context), None, [user.email])


def _make_link(user: User) -> str:
    """A link good for one new password, for as long as
    PASSWORD_RESET_TIMEOUT says, at the tenant's own host.
    """
    slug = find_tenant()
    urlconf = settings.ROOT_URLCONF if slug else settings.PUBLIC_SCHEMA_URLCONF
    arguments = {"uidb36": user_pk_to_url_str(user), "key": TenantPasswordResetTokens().make_token(user)}
    return base_url(slug) + reverse("account_reset_password_from_key", urlconf=urlconf, kwargs=arguments)


def _one_line(text: str) -> str:
    return " ".join(text.split())
