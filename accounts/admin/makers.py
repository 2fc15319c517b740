"""Who or what made a key: another key, or whom the audit log names."""

from collections.abc import Sequence
from uuid import UUID

from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext as _

from accounts.models import ApiKey
from accounts.selectors import name_keys
from administration.history import actor_of


def name_makers(rows: Sequence[ApiKey]) -> dict[UUID, str]:
    """Id of a key → what made it, in words; two queries for any number. Where the log says nothing of a key
    that no other one made, it is left out.
    """
    makers = {row.pk: row.maker_ids[-1] for row in rows if row.maker_ids}
    names = name_keys(makers.values())
    by_keys = {pk: _name_key(names.get(maker)) for pk, maker in makers.items()}
    return by_keys | _name_people([row for row in rows if row.pk not in makers])


def _name_key(name: str | None) -> str:
    return _("API key %(name)s") % {"name": name} if name else _("an API key that does not exist any more")


def _name_people(rows: Sequence[ApiKey]) -> dict[UUID, str]:
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(ApiKey),
        object_pk__in=[str(row.pk) for row in rows],
        action=LogEntry.Action.CREATE,
    ).select_related("actor")
    return {UUID(entry.object_pk): actor_of(entry) for entry in entries}
