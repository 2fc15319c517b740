"""Links in mails that let someone set a password."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator

from tenants.context import scope_label


class TenantPasswordResetTokens(PasswordResetTokenGenerator):
    """A link carries its tenant: one of another tenant is worthless, even for the same user id. It dies with
    a new password, address or log-in.
    """

    def _make_hash_value(self, user, timestamp) -> str:
        return f"{scope_label()}:{super()._make_hash_value(user, timestamp)}"
