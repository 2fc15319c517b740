"""The start page's card about bills that went above a budget. Budgets that run low have
a card of their own (usage.cards).
"""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from administration.start_page import card
from usage.models import Budget, BudgetOverrun
from usage.selectors.start_page import name_subjects

DAYS, LIMIT = 30, 8  # the card names the days


@card(site="service", order=55, permission="usage.view_budget", template="usage/cards/overruns.html")
def recent_overruns(request: HttpRequest) -> dict[str, Any] | None:
    """Nothing where nothing went above: most organisations never see this card."""
    rows = list(BudgetOverrun.objects.filter(created_at__gte=timezone.now() - timedelta(days=DAYS))[:LIMIT])
    if not rows:
        return None
    budgets = Budget.objects.in_bulk([row.budget_id for row in rows])
    names = name_subjects(list(budgets.values()))
    overruns = [
        {"row": row, "budget": budgets.get(row.budget_id), "subject": names.get(row.budget_id)}
        for row in rows
    ]
    return {"overruns": overruns, "budgets_url": reverse("service:usage_budget_changelist")}
