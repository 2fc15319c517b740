"""`manage.py budget set | list | remove | rebuild`."""

from uuid import UUID

from accounts.selectors import find_key, find_project, get_user_by_email
from foundation.amounts import parse_amount
from foundation.commands import AtriumCommand
from foundation.errors import NotFound
from tenants.context import tenant
from usage.models import Budget
from usage.services import rebuild_balances, rebuild_sums, remove_budget, set_budget


class Command(AtriumCommand):
    help = "Set, list and remove budgets; rebuild balances from the events."

    def add_actions(self) -> None:
        for name, run, text in (
            ("set", self.set, "set how much may be spent"),
            ("remove", self.remove, "lift a budget"),
        ):
            action = self.add_action(name, run, text)
            action.add_argument("--tenant", required=True, metavar="SLUG")
            subject = action.add_mutually_exclusive_group()
            subject.add_argument("--project", metavar="NAME")
            subject.add_argument("--user", metavar="EMAIL")
            subject.add_argument("--key", metavar="ID", help="the key's eight public characters")
            action.add_argument("--period", choices=Budget.Period.values, default=Budget.Period.MONTH)
            if name == "set":
                action.add_argument(
                    "--limit", required=True, metavar="AMOUNT", help="in the tenant's currency"
                )
        self.add_action("list", self.list, "show a tenant's budgets").add_argument(
            "--tenant", required=True, metavar="SLUG"
        )
        rebuild = self.add_action(
            "rebuild", self.rebuild, "work out balances and sums anew from holds and events"
        )
        rebuild.add_argument("--tenant", required=True, metavar="SLUG")

    def set(self, options) -> None:
        with tenant(options["tenant"]):
            level, subject_id = _find_subject(options)
            row = set_budget(
                actor=None,
                level=level,
                subject_id=subject_id,
                limit=parse_amount(options["limit"]),
                period=options["period"],
            )
        self.show(_as_dict(row))

    def remove(self, options) -> None:
        with tenant(options["tenant"]):
            level, subject_id = _find_subject(options)
            found = Budget.objects.filter(
                level=level, period=options["period"], managed_by=Budget.ManagedBy.TENANT
            )
            row = (found.filter(subject_id=subject_id) if subject_id else found).first()
            if row is None:
                raise NotFound("There is no such budget.")
            remove_budget(actor=None, budget=row)
        self.show({"removed": True}, "The budget is lifted.")

    def list(self, options) -> None:
        with tenant(options["tenant"]):
            self.show([_as_dict(row) for row in Budget.objects.order_by("level", "subject_id", "period")])

    def rebuild(self, options) -> None:
        with tenant(options["tenant"]):
            wrong = rebuild_balances()
            rebuild_sums()
        self.show(
            {"corrected": [str(row.pk) for row in wrong]},
            f"{len(wrong)} balances were wrong and are corrected; the sums are rebuilt.",
        )


def _find_subject(options) -> tuple[str, UUID | None]:
    """Raises NotFound naming what does not exist."""
    if options["user"]:
        return Budget.Level.USER, get_user_by_email(options["user"]).pk
    if options["project"]:
        project = find_project(options["project"])
        if project is None:
            raise NotFound(f"There is no project “{options['project']}”.")
        return Budget.Level.PROJECT, project.pk
    if options["key"]:
        key = find_key(options["key"])
        if key is None:
            raise NotFound(f"There is no key {options['key']}.")
        return Budget.Level.KEY, key.pk
    return Budget.Level.TENANT, None


def _as_dict(row: Budget) -> dict:
    return {
        "level": row.level,
        "subject": str(row.subject_id),
        "period": row.period,
        "limit": f"{row.limit:f}",
        "spent": f"{row.spent:f}",
        "held": f"{row.held:f}",
        "currency": row.currency,
        "managed_by": row.managed_by,
    }
