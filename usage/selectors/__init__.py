"""Reads of usage, by noun: reports, budgets, processes."""

from usage.selectors.budgets import (
    find_currency,
    find_tightest_budget,
    get_visible_budget,
    list_binding_budgets,
    list_visible_budgets,
)
from usage.selectors.processes import is_process_alive
from usage.selectors.reports import (
    DIMENSIONS,
    UsageRow,
    get_report,
    list_top_errors,
    list_usage,
    list_visible_events,
    own_usage,
    usage_today,
)

__all__ = [
    "DIMENSIONS",
    "UsageRow",
    "find_currency",
    "find_tightest_budget",
    "get_report",
    "get_visible_budget",
    "is_process_alive",
    "list_binding_budgets",
    "list_top_errors",
    "list_usage",
    "list_visible_budgets",
    "list_visible_events",
    "own_usage",
    "usage_today",
]
