"""The mail by which a new person chooses their first password."""

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


def make_password_link(user: User) -> str:
    """A link good for one new password, for as long as PASSWORD_RESET_TIMEOUT says."""
    slug = find_tenant()
    urlconf = settings.ROOT_URLCONF if slug else settings.PUBLIC_SCHEMA_URLCONF
    arguments = {"uidb36": user_pk_to_url_str(user), "key": TenantPasswordResetTokens().make_token(user)}
    return base_url(slug) + reverse("account_reset_password_from_key", urlconf=urlconf, kwargs=arguments)


def send_invitation_mail(user: User, organisation: str) -> None:
    """Tell a person, in their language, where to choose a password and log in."""
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {"user": user, "organisation": organisation, "link": make_password_link(user), "host": base_url(find_tenant())}
        subject = _("Your access to %(organisation)s") % {"organisation": " ".join(organisation.split())}
        send_mail(subject, render_to_string("accounts/mail/invitation.txt", context), None, [user.email])
