"""`manage.py plan set | list`."""

from argparse import SUPPRESS
from decimal import Decimal, InvalidOperation

from foundation.commands import AtriumCommand
from tenants.context import platform
from tenants.measures import Measure
from tenants.models import Plan
from tenants.provisioning.plans import set_plan

SIZES = ("storage_bytes", "largest_file_bytes")
FIELDS = ("label", *Measure.values, "monthly_budget", *SIZES)


def limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def amount(text: str) -> Decimal | None:
    try:
        return None if text == "none" else Decimal(text)
    except InvalidOperation as exc:
        raise ValueError from exc


class Command(AtriumCommand):
    help = "Set and list the plans (billing tiers)."

    def add_actions(self) -> None:
        change = self.add_action("set", self.set, "create or change a plan")
        change.add_argument("name")
        change.add_argument("--label", default=SUPPRESS)
        for measure in Measure.values:
            change.add_argument(
                f"--{measure.replace('_', '-')}",
                type=limit,
                default=SUPPRESS,
                metavar="N",
                help="“none” removes the limit",
            )
        change.add_argument(
            "--monthly-budget",
            type=amount,
            default=SUPPRESS,
            metavar="AMOUNT",
            help="“none” removes the budget; 0 lets only free models answer",
        )
        for size in SIZES:
            change.add_argument(
                f"--{size.replace('_', '-')}",
                type=limit,
                default=SUPPRESS,
                metavar="N",
                help="“none” removes the limit",
            )
        self.add_action("list", self.list, "show all plans")

    def set(self, options) -> None:
        row = set_plan(name=options["name"], **{name: options[name] for name in FIELDS if name in options})
        self.show({"name": row.name}, f"Plan {row.name} is set.")

    def list(self, options) -> None:
        with platform():
            plans = Plan.objects.prefetch_related("limits")
            self.show([{name: getattr(row, name) for name in ("name", *FIELDS)} for row in plans])
