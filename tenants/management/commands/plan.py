"""`manage.py plan set | list`."""

from decimal import Decimal

from tenants.commands import AtriumCommand
from tenants.context import platform
from tenants.models import Plan
from tenants.plans import set_plan

KEEP = "keep"
FIELDS = ("label", "requests_per_minute", "monthly_budget")


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _amount(text: str) -> Decimal | None:
    return None if text == "none" else Decimal(text)


class Command(AtriumCommand):
    help = "Set and list the plans (billing tiers)."

    def add_actions(self) -> None:
        change = self.add_action("set", self.set, "create or change a plan")
        change.add_argument("name")
        change.add_argument("--label", default=KEEP)
        change.add_argument("--requests-per-minute", type=_limit, default=KEEP, metavar="N", help="“none” removes the limit")
        change.add_argument("--monthly-budget", type=_amount, default=KEEP, metavar="AMOUNT", help="“none” removes the budget; 0 lets only free models answer")
        self.add_action("list", self.list, "show all plans")

    def set(self, options) -> None:
        row = set_plan(name=options["name"], **{name: options[name] for name in FIELDS if options[name] != KEEP})
        self.show({"name": row.name}, f"Plan {row.name} is set.")

    def list(self, options) -> None:
        with platform():
            self.show(list(Plan.objects.values("name", *FIELDS)))
