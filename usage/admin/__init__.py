"""The tenant administration's usage events and budgets."""

from usage.admin import budgets, events  # noqa: F401  (they register themselves)
