"""What this room does after the answer is given."""

from smtplib import SMTPException
from typing import Any

from celery import shared_task

from tenants.selectors import get_organisation_name
from tenants.work.tasks import TenantTask

# A mail server that is away is asked again for about an hour.
PATIENT: dict[str, Any] = {"autoretry_for": (SMTPException, OSError), "retry_backoff": 30, "max_retries": 7}


@shared_task(base=TenantTask, acks_late=True, name="accounts.send_invitation", **PATIENT)
def send_invitation(user_id: str) -> None:
    """Send the mail with the link for the first password. Twice is harmless: both links work until one is
    used.
    """
    from accounts.mails import send_invitation_mail
    from accounts.models import User

    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is not None:
        send_invitation_mail(user, get_organisation_name())


@shared_task(base=TenantTask, acks_late=True, name="accounts.send_password_reset", **PATIENT)
def send_password_reset(email: str, language: str) -> None:
    """Send the mail with the link for a new password, if the address is somebody's. Twice is harmless, as
    above.
    """
    from accounts.mails import send_password_reset_mail
    from accounts.models import User

    user = User.objects.filter(email__iexact=email, is_active=True).first()
    if user is not None:
        send_password_reset_mail(user, get_organisation_name(), language)
