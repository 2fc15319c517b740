"""What this room does after the answer is given."""

from celery import shared_task

from tenants.context import find_tenant, platform
from tenants.tasks import TenantTask


@shared_task(base=TenantTask, acks_late=True, name="accounts.send_invitation")
def send_invitation(user_id: str) -> None:
    """Send the mail with the link for the first password. Twice is harmless: both links work until one is used."""
    from accounts.invitations import send_invitation_mail
    from accounts.models import User
    from tenants.models import Tenant

    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    slug, organisation = find_tenant(), "Atrium"
    if slug is not None:
        with platform():
            organisation = Tenant.objects.values_list("name", flat=True).get(slug=slug)
    send_invitation_mail(user, organisation)
