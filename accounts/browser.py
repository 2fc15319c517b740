"""What the browser tells at log-in about whoever sits before it."""

from allauth.account.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from accounts.services import adopt_time_zone
from tenants.audit import note_actor


@receiver(user_logged_in, dispatch_uid="accounts.take_time_zone")
def take_time_zone(sender, request: HttpRequest, user: User, **kwargs) -> None:
    """The field that static/js/time-zone.js fills."""
    note_actor(user)
    adopt_time_zone(user=user, zone=request.POST.get("time_zone", ""))
