"""The mail by which a new person chooses their first password."""

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.password_links import make_password_link
from tenants.context import find_tenant
from tenants.links import base_url


def send_invitation_mail(user: User, organisation: str) -> None:
    """Tell a person, in their language, where to choose a password and log in."""
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {"user": user, "organisation": organisation, "link": make_password_link(user), "host": base_url(find_tenant())}
        subject = _("Your access to %(organisation)s") % {"organisation": " ".join(organisation.split())}
        send_mail(subject, render_to_string("accounts/mail/invitation.txt", context), None, [user.email])
