"""Reads of usage, by noun: reports, budgets, processes."""

from usage.selectors.budgets import (
    NAMES,
    BudgetState,
    find_tightest_budget,
    get_visible_budget,
    list_binding_budgets,
    list_visible_budgets,
)
from usage.selectors.processes import is_process_alive
from usage.selectors.reports import (
    DIMENSIONS,
    Bill,
    UsageRow,
    find_bill_of_call,
    get_report,
    get_visible_event,
    list_refundable,
    list_top_errors,
    list_usage,
    list_visible_events,
    own_usage,
)
from usage.selectors.speeds import Speed, measure_models

__all__ = [
    "DIMENSIONS",
    "NAMES",
    "Bill",
    "BudgetState",
    "Speed",
    "UsageRow",
    "find_bill_of_call",
    "find_tightest_budget",
    "get_report",
    "get_visible_budget",
    "get_visible_event",
    "is_process_alive",
    "list_binding_budgets",
    "list_refundable",
    "list_top_errors",
    "list_usage",
    "list_visible_budgets",
    "list_visible_events",
    "measure_models",
    "own_usage",
]
