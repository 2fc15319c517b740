"""What happens to models on a date: prices that begin, models that retire. Nobody has to be there for it."""

from datetime import UTC, date, datetime, time

from django.db import transaction
from django.utils import timezone

from models_registry.kinds import Channel
from models_registry.worlds import active_world
from tenants.notify import announce
from tenants.work.duties import duty, note_duty

DUTY = "models_registry.calendar"


def note_date(moment: datetime | date) -> None:
    """Note in the running transaction that something of the active scope changes at this moment, or at the
    start of this day (UTC).
    """
    note_duty(DUTY, moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC))


@duty(DUTY)
def carry_out_dates() -> None:
    """Retire the models whose day has come, and let every process read routes and prices again. Safe to call
    again.
    """
    with transaction.atomic():
        due = (
            active_world()
            .models.objects.select_for_update()
            .filter(retire_on__lte=timezone.now().date())
            .exclude(channel=Channel.RETIRED)
        )
        for model in due:
            model.channel = Channel.RETIRED
            model.is_default = False
            model.save(update_fields=["channel", "is_default", "updated_at"])
        announce("model", "*")
