"""Links to the page on which a person chooses a password, for mails."""

from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

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
