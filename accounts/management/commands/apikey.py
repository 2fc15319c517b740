"""`manage.py apikey create | list | revoke`."""

from datetime import UTC, datetime, time

from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime

from accounts.key_rules import key_rules
from accounts.models import ApiKey
from accounts.selectors import get_user_by_email
from accounts.services import create_api_key, revoke_api_key
from foundation.commands import AtriumCommand
from foundation.errors import InvalidInput, NotFound
from tenants.context import tenant


class Command(AtriumCommand):
    help = "Create, list and revoke API keys."

    def add_actions(self) -> None:
        create = self.add_action("create", self.create, "make a key; prints only the key")
        create.add_argument("--tenant", required=True, metavar="SLUG")
        create.add_argument("--user", required=True, metavar="EMAIL")
        create.add_argument("--name", required=True)
        create.add_argument(
            "--scope", action="append", choices=ApiKey.Scope.values, help="default: inference"
        )
        create.add_argument("--model", action="append", metavar="NAME", help="default: all models")
        create.add_argument("--requests-per-minute", type=int)
        create.add_argument("--budget", metavar="AMOUNT", help="monthly, in the tenant's currency")
        create.add_argument("--expires", metavar="DATE", help="the last day (UTC), or a moment")
        self.add_action("list", self.list, "show a tenant's keys").add_argument(
            "--tenant", required=True, metavar="SLUG"
        )
        revoke = self.add_action("revoke", self.revoke, "make a key useless")
        revoke.add_argument("--tenant", required=True, metavar="SLUG")
        revoke.add_argument("key_id")

    def create(self, options) -> None:
        with tenant(options["tenant"]), transaction.atomic():
            row, text = create_api_key(
                actor=None,
                user=get_user_by_email(options["user"]),
                name=options["name"],
                scopes=options["scope"],
                model_names=options["model"],
                requests_per_minute=options["requests_per_minute"],
                expires_at=_parse_moment(options["expires"]),
            )
            if options["budget"]:
                key_rules().give_budget(row, options["budget"])
        self.show({"key": text, "id": row.key_id}, text)

    def list(self, options) -> None:
        with tenant(options["tenant"]):
            self.show(
                [
                    {
                        "id": row.key_id,
                        "name": row.name,
                        "user": row.user.email,
                        "scopes": ",".join(row.scopes),
                        "usable": row.is_usable,
                        "last_used": row.last_used_at,
                    }
                    for row in ApiKey.objects.select_related("user")
                ]
            )

    def revoke(self, options) -> None:
        with tenant(options["tenant"]):
            row = ApiKey.objects.filter(key_id=options["key_id"]).first()
            if row is None:
                raise NotFound(f"There is no key {options['key_id']}.")
            revoke_api_key(actor=None, key=row)
        self.show({"id": row.key_id, "revoked": True}, f"Key {row.key_id} is revoked.")


def _parse_moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        day = parse_date(text)
        # a day is the key's last one, as on the page
        moment = datetime.combine(day, time.max, UTC) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidInput(f"“{text}” is not a date. Write it as 2027-01-31.", param="expires")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
