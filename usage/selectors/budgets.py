"""Budgets that somebody may see, and how full they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.selectors import (
    list_member_projects,
    list_own_api_keys,
    list_projects_of,
    name_keys_with_owners,
    name_people,
    name_projects,
)
from foundation.errors import NotFound
from usage.ledger.bookings import TENANT_SUBJECT
from usage.ledger.budget_rules import ZERO, period_end, period_start
from usage.models import Budget


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How full a budget is now. `spent` is of the current period, even if nothing was booked in it yet."""

    label: str
    spent: Decimal
    held: Decimal
    limit: Decimal
    currency: str
    resets_on: date | None
    warn_at_percent: int
    # it came with the organisation's plan: only the operator of the platform can raise it
    is_of_plan: bool = False
    is_open: bool = True  # whether its amounts are for the person, beside how full it is

    @property
    def used(self) -> Decimal:
        return self.spent + self.held

    @property
    def remaining(self) -> Decimal:
        return max(ZERO, self.limit - self.used)

    @property
    def is_exhausted(self) -> bool:
        return self.used >= self.limit

    @property
    def is_above(self) -> bool:
        """A call may cost more than was held for it, and a limit may be lowered."""
        return self.used > self.limit

    @property
    def percent(self) -> int:
        """Spent or held, from 0 to 100; 100 only when nothing is left."""
        return 100 if self.is_exhausted else int((100 * self.used / self.limit).to_integral_value(ROUND_DOWN))


NAMES: dict[str, Callable[[Iterable[UUID]], dict[UUID, str]]] = {
    Budget.Level.PROJECT: name_projects,
    Budget.Level.USER: name_people,
    Budget.Level.KEY: name_keys_with_owners,
}  # level → what its subjects are called, by id


# from a person's own to what everybody shares
ORDER: list[str] = [Budget.Level.USER, Budget.Level.KEY, Budget.Level.PROJECT, Budget.Level.TENANT]
# shown to nobody but the person
OWN: dict[str, str | Promise] = {
    Budget.Period.DAY: gettext_lazy("Your daily budget"),
    Budget.Period.MONTH: gettext_lazy("Your monthly budget"),
    Budget.Period.TOTAL: gettext_lazy("Your budget"),
}


def list_visible_budgets(user: User) -> QuerySet[Budget]:
    """The budgets of a person, their keys and their projects; with `usage.view_budget`, all."""
    if user.has_perm("usage.view_budget"):
        return Budget.objects.all()
    keys = list_own_api_keys(user).values("pk")
    projects = list_projects_of(user).values("pk")
    return Budget.objects.filter(Q(subject_id=user.pk) | Q(subject_id__in=keys) | Q(subject_id__in=projects))


def get_visible_budget(user: User, pk: UUID | str) -> Budget:
    """One of the budgets the person may see. Raises NotFound."""
    row = list_visible_budgets(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such budget."))
    return row


def find_budget(level: str, subject_id: UUID | None, period: str) -> Budget | None:
    """The tenant's own budget of a subject (None: of the organisation) for a period."""
    return Budget.objects.filter(
        level=level,
        subject_id=subject_id or TENANT_SUBJECT,
        period=period,
        managed_by=Budget.ManagedBy.TENANT,
    ).first()


def list_binding_budgets(user: User) -> list[BudgetState]:
    """What may still be spent by a person: their own budgets and those of their keys, then those they share,
    of the projects that they may book on and of the organisation.
    """
    names: dict[UUID, str] = {key.pk: str(key) for key in list_own_api_keys(user)}
    binding = Q(level=Budget.Level.USER, subject_id=user.pk)
    binding |= Q(level=Budget.Level.KEY, subject_id__in=list(names))
    names |= {project.pk: str(project) for project in list_member_projects(user)}
    binding |= Q(level=Budget.Level.PROJECT, subject_id__in=list(names))
    binding |= Q(level=Budget.Level.TENANT, subject_id=TENANT_SUBJECT)
    rows = sorted(
        Budget.objects.filter(binding), key=lambda row: (ORDER.index(row.level), row.period, row.pk)
    )
    visible = set(list_visible_budgets(user).values_list("pk", flat=True))
    return [replace(_state(row, names.get(row.subject_id, "")), is_open=row.pk in visible) for row in rows]


def find_tightest_budget(user: User, project_id: UUID) -> BudgetState | None:
    """The fullest of the budgets that bind a person's chats on a project: the organisation's, the
    project's, their own. None if there is none.
    """
    binding = Q(level=Budget.Level.TENANT, subject_id=TENANT_SUBJECT) | Q(
        level=Budget.Level.USER, subject_id=user.pk
    )
    binding |= Q(level=Budget.Level.PROJECT, subject_id=project_id)
    return max(
        (_state(row) for row in Budget.objects.filter(binding)), key=lambda state: state.percent, default=None
    )


def _state(row: Budget, name: str = "") -> BudgetState:
    now = datetime.now(UTC)
    start = period_start(row.period, now)
    renewal = period_end(row.period, start)
    own = OWN[row.period] if row.level == Budget.Level.USER and not name else ""
    label = str(own) or f"{name or row.get_level_display()} · {row.get_period_display()}"
    spent = row.spent if row.period_start >= start else ZERO  # the next call resets an older row
    return BudgetState(
        label=label,
        spent=spent,
        held=row.held,
        limit=row.limit,
        currency=row.currency,
        resets_on=renewal.date() if renewal else None,
        warn_at_percent=row.warn_at_percent,
        is_of_plan=row.managed_by == Budget.ManagedBy.PLAN,
    )
