"""What this room's work is called (`tenants.work`), for those who order it."""

INVITATION = "accounts.send_invitation"
PASSWORD_RESET = "accounts.send_password_reset"  # noqa: S105  (a name)
QUEUE = "default"
