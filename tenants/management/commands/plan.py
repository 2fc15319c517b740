"""`manage.py plan set | list`."""

from decimal import Decimal

from tenants.commands import AtriumCommand
from tenants.context import platform
from tenants.models import Plan
from tenants.plans import set_plan


class Command(AtriumCommand):
    help = "Set and list the plans (billing tiers)."

    def add_actions(self) -> None:
        change = self.add_action("set", self.set, "create or change a plan")
        change.add_argument("name")
        change.add_argument("--label")
        for limit in ("requests-per-minute", "tokens-per-minute", "max-concurrency"):
            change.add_argument(f"--{limit}", type=int, help="0 removes the limit")
        change.add_argument("--monthly-budget", type=Decimal, help="0 removes the budget")
        self.add_action("list", self.list, "show all plans")

    def set(self, options) -> None:
        names = ("label", "requests_per_minute", "tokens_per_minute", "max_concurrency", "monthly_budget")
        row = set_plan(name=options["name"], **{name: options[name] for name in names if options[name] is not None})
        self.show({"name": row.name}, f"Plan {row.name} is set.")

    def list(self, options) -> None:
        with platform():
            self.show(list(Plan.objects.values("name", "label", "requests_per_minute", "tokens_per_minute", "max_concurrency", "monthly_budget")))
