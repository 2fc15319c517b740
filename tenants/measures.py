"""What a limit counts, for plans and for everybody below them."""

from typing import Any, ClassVar

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy

from foundation.told import gettext as _
from foundation.told import ngettext

MAX_COUNT = 2_000_000_000
MAX_TOKENS = 1_000_000_000_000


class Measure(models.TextChoices):
    REQUESTS_PER_MINUTE = "requests_per_minute", gettext_lazy("requests per minute")
    TOKENS_PER_MINUTE = "tokens_per_minute", gettext_lazy("tokens per minute")
    TOKENS_PER_DAY = "tokens_per_day", gettext_lazy("tokens per day")
    CALLS_AT_ONCE = "calls_at_once", gettext_lazy("calls at once")


def say_limit(measure: str, amount: int) -> str:
    """“1 request per minute”, “200,000 tokens per day”."""
    texts = {
        Measure.REQUESTS_PER_MINUTE: ngettext(
            "%(amount)s request per minute", "%(amount)s requests per minute", amount
        ),
        Measure.TOKENS_PER_MINUTE: ngettext(
            "%(amount)s token per minute", "%(amount)s tokens per minute", amount
        ),
        Measure.TOKENS_PER_DAY: ngettext("%(amount)s token per day", "%(amount)s tokens per day", amount),
        Measure.CALLS_AT_ONCE: ngettext("%(amount)s call at once", "%(amount)s calls at once", amount),
    }
    return texts[Measure(measure)] % {"amount": intcomma(amount)}


def say_use(measure: str, used: int, amount: int) -> str:
    """“3 of 60 requests per minute”."""
    texts = {
        Measure.REQUESTS_PER_MINUTE: ngettext(
            "%(used)s of %(amount)s request per minute", "%(used)s of %(amount)s requests per minute", amount
        ),
        Measure.TOKENS_PER_MINUTE: ngettext(
            "%(used)s of %(amount)s token per minute", "%(used)s of %(amount)s tokens per minute", amount
        ),
        Measure.TOKENS_PER_DAY: ngettext(
            "%(used)s of %(amount)s token per day", "%(used)s of %(amount)s tokens per day", amount
        ),
        Measure.CALLS_AT_ONCE: ngettext(
            "%(used)s of %(amount)s call at once", "%(used)s of %(amount)s calls at once", amount
        ),
    }
    return texts[Measure(measure)] % {"used": intcomma(used), "amount": intcomma(amount)}


TOKENS = frozenset({Measure.TOKENS_PER_MINUTE, Measure.TOKENS_PER_DAY})


def check_amount(measure: str, amount: int) -> None:
    """Raises ValidationError, at the measure's name, for an amount that no limit may have."""
    most = MAX_TOKENS if measure in TOKENS else MAX_COUNT
    if not 1 <= amount <= most:
        raise ValidationError({measure: [say_range(most)]})


def _say_range(most: int) -> str:
    return _("A number from 1 to %(most)d, or nothing for no limit.") % {"most": most}


say_range = lazy(_say_range, str)  # said when it is shown


class LimitRow(models.Model):
    """What a plan's limits and a tenant's have in common."""

    subject_fields: ClassVar[tuple[str, ...]]  # of which at most one is set

    measure = models.CharField(gettext_lazy("measure"), max_length=20, choices=Measure)
    amount = models.PositiveBigIntegerField(gettext_lazy("limit"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name_kept(self.get_additional_data())

    def get_additional_data(self) -> dict[str, Any]:
        """What the audit log keeps beside the text, for readers of other languages (auditlog asks for it).
        `subject` is whose limit it is; empty where that is nothing of its own, or goes together with it.
        """
        try:
            subject = next((str(row) for name in self.subject_fields if (row := getattr(self, name))), "")
        except ObjectDoesNotExist:
            subject = ""
        return {"subject": subject, "measure": self.measure, "amount": self.amount}

    @classmethod
    def name_kept(cls, kept: dict[str, Any]) -> str:
        """What people call the limit of which the audit log keeps this, in the reader's language."""
        said = say_limit(kept["measure"], kept["amount"])
        return f"{kept['subject']}: {said}" if kept["subject"] else said

    def clean(self) -> None:
        if self.amount is not None:  # the field says that it is missing
            check_amount(self.measure, self.amount)


def read_amount(rows: models.Manager, measure: str) -> int | None:
    """The amount for this measure among an object's limits; None: no limit. From memory where they were
    prefetched.
    """
    return next((row.amount for row in rows.all() if row.measure == measure), None)
