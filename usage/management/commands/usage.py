"""`manage.py usage report`."""

from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

from foundation.commands import AtriumCommand
from foundation.errors import InvalidInput
from tenants.context import tenant
from usage.selectors import DIMENSIONS, get_report


class Command(AtriumCommand):
    help = "Report what a tenant used."

    def add_actions(self) -> None:
        report = self.add_action("report", self.report, "usage by model, user, key, project or day")
        report.add_argument("--tenant", required=True, metavar="SLUG")
        report.add_argument(
            "--from", dest="since", metavar="DATE", help="first day (UTC); default: the first of this month"
        )
        report.add_argument(
            "--to", dest="until", metavar="DATE", help="last day (UTC), included; default: today"
        )
        report.add_argument("--by", choices=list(DIMENSIONS), default="model")

    def report(self, options) -> None:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        since = parse_day(options["since"]) if options["since"] else today.replace(day=1)
        until = (parse_day(options["until"]) if options["until"] else today) + timedelta(days=1)
        with tenant(options["tenant"]):
            rows = get_report(actor=None, by=options["by"], since=since, until=until)
        self.show(
            [
                {
                    options["by"]: str(row.key) if row.key is not None else None,
                    "label": row.label,
                    "calls": row.calls,
                    "errors": row.errors,
                    **row.four_counts,
                    "quantities": row.quantities,
                    "cost": f"{row.cost:f}",
                    "currency": row.currency,
                }
                for row in rows
            ]
        )


def parse_day(text: str) -> datetime:
    """The begin of a day in UTC. Raises InvalidInput."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(
            _("“%(day)s” is not a date. Write it as 2027-01-31.") % {"day": text}, param="from"
        ) from None
