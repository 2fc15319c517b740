"""What somebody reads whose budget has no room: which budget, how full, and who can change that."""

from foundation.amounts import show_money
from foundation.errors import QuotaExceeded
from foundation.told import gettext as _
from usage.ledger.bookings import BudgetRefusal

HELD_RETRY_AFTER_S = 2  # other calls are under way; most end soon


def quota_exceeded(refusal: BudgetRefusal) -> QuotaExceeded:
    """The error for a refused hold; `retry_after_s` where waiting helps."""
    fits_later = refusal.spent + refusal.amount <= refusal.limit
    parts = {"budget": _budget_name(refusal)} | {
        name: show_money(getattr(refusal, name), refusal.currency)
        for name in ("limit", "spent", "held", "amount")
    }
    if fits_later:
        text = _(
            "%(budget)s has no room for this call at the moment: of %(limit)s, %(spent)s are spent and "
            "%(held)s are held for calls under way; this call could cost %(amount)s."
        )
        advice = _("Try again when they have ended, or ask for a shorter answer.")
    else:
        text = _(
            "%(budget)s has no room for this call: of %(limit)s, %(spent)s are spent, and this call could "
            "cost %(amount)s."
        )
        advice = _who_can_raise(refusal)
    retry_after_s = HELD_RETRY_AFTER_S if fits_later else refusal.renews_in_s
    return QuotaExceeded(text % parts + " " + advice, code="insufficient_quota", retry_after_s=retry_after_s)


def _budget_name(refusal: BudgetRefusal) -> str:
    names = {
        ("tenant", "month"): _("Your organisation's budget for this month"),
        ("tenant", "day"): _("Your organisation's budget for today"),
        ("tenant", "total"): _("Your organisation's budget"),
        ("project", "month"): _("This project's budget for this month"),
        ("project", "day"): _("This project's budget for today"),
        ("project", "total"): _("This project's budget"),
        ("user", "month"): _("Your budget for this month"),
        ("user", "day"): _("Your budget for today"),
        ("user", "total"): _("Your budget"),
        ("key", "month"): _("This API key's budget for this month"),
        ("key", "day"): _("This API key's budget for today"),
        ("key", "total"): _("This API key's budget"),
    }
    return names[refusal.level, refusal.period]


def _who_can_raise(refusal: BudgetRefusal) -> str:
    if refusal.managed_by == "plan":
        return _("It comes with your organisation's plan; the operator of the platform can raise it.")
    return _("An administrator of your organisation can raise it.")
