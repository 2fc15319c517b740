"""One tenant's books. Events are the truth; holds, balances and sums can be rebuilt from them
(usage.services, usage.sums).

The ledger's lanes write holds, events and balances in SQL of their own (usage.ledger.statements): a
column changed here is changed there. Ids of people, keys, projects and models are plain UUIDs without
foreign keys: events outlive them all.
"""

from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from foundation.amounts import show_money
from foundation.ids import show_request_id, uuid7
from foundation.spacing import label_value
from tenants.models import TimeStamped
from usage.older_counts import read_quantities
from usage.quantities import TOKENS, Quantities, four_counts, total


class MoneyField(models.DecimalField):
    """An exact amount, NUMERIC(24, 12): rounded once, on the statement."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "max_digits": 24, "decimal_places": 12})

    def deconstruct(self):
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.DecimalField", args, kwargs  # migrations know no code of ours


class CallColumns(models.Model):
    """What is known of a call before it is made. A hold keeps it and the event takes it over, column by
    column (usage.ledger.statements.FACTS).
    """

    source = models.CharField(_("source"))
    user_id = models.UUIDField(_("user"), null=True)
    key_id = models.UUIDField(_("API key"), null=True)
    project_id = models.UUIDField(_("project"), null=True)
    model = models.CharField(_("model"))
    model_id = models.UUIDField(null=True)
    model_version = models.CharField(_("model version"))
    deployment = models.CharField(_("deployment"))
    endpoint = models.CharField(_("endpoint"))
    connection_id = models.UUIDField(null=True)
    upstream_model = models.CharField(_("the provider's model"))
    price_snapshot = models.JSONField(_("price"), default=dict)
    trace_id = models.CharField(_("trace"))

    class Meta:
        abstract = True

    def facts(self) -> dict[str, Any]:
        """These columns, for a row that takes them over."""
        return {field.attname: getattr(self, field.attname) for field in CallColumns._meta.local_fields}


class QuantityColumns(models.Model):
    """What was used, by class (usage.quantities)."""

    # zeros are left out; below zero in corrections only
    quantities = models.JSONField(_("quantities"), null=True)

    class Meta:
        abstract = True

    @property
    def used(self) -> Quantities:
        return read_quantities(self)

    @property
    def used_beside_tokens(self) -> Quantities:
        return {name: count for name, count in self.used.items() if name not in TOKENS}

    @property
    def four_counts(self) -> dict[str, int]:
        return four_counts(self.used)

    @property
    def total_tokens(self) -> int:
        return total(self.used, TOKENS)


class UsageEvent(QuantityColumns, CallColumns):
    """What one call used and cost. Only ever added; a correction is an event of its own."""

    class Kind(models.TextChoices):
        SETTLE = "settle", _("bill")
        ADJUSTMENT = "adjustment", _("correction of an estimate")
        REFUND = "refund", _("refund")

    class Status(models.TextChoices):
        OK = "ok", _("answered")
        ERROR = "error", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        INTERRUPTED = "interrupted", _("interrupted")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request_id = models.UUIDField(_("request"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.SETTLE)
    # for processes of the release before (usage.older_counts); these five go with the next release
    input_tokens = models.BigIntegerField(
        _("input tokens"), default=0, help_text=_("Not from the cache. Corrections can be negative.")
    )
    cached_tokens = models.BigIntegerField(_("cached tokens"), default=0)
    output_tokens = models.BigIntegerField(_("output tokens"), default=0, help_text=_("Without reasoning."))
    reasoning_tokens = models.BigIntegerField(_("reasoning tokens"), default=0)
    units = models.JSONField(
        _("units"), default=dict, help_text=_("What is not counted in tokens: seconds of audio, images.")
    )
    cost = MoneyField(_("cost"))
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    latency_ms = models.IntegerField(_("duration in ms"), null=True)
    first_token_ms = models.IntegerField(_("time to the first token in ms"), null=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.OK)
    error_code = models.CharField(_("error"))
    estimated = models.BooleanField(
        _("estimated"), default=False, help_text=_("The provider did not report what was used.")
    )
    over_hold = models.BooleanField(_("above its hold"), default=False)
    attempts = models.JSONField(
        _("lost attempts"),
        null=True,
        help_text=_(
            "Endpoints that failed before this one answered, and what they may have charged nonetheless: it "
            "is part of the cost."
        ),
    )
    dropped_params = models.JSONField(
        _("wishes left out"),
        null=True,
        help_text=_("Fields of the request that whoever answered was not told, since it does not know them."),
    )
    booked_at = models.DateTimeField(
        _("counts at"), help_text=_("Decides the budget's period. A correction counts where its bill did.")
    )
    created_at = models.DateTimeField(_("booked at"))

    class Meta:
        ordering = ["-created_at", "pk"]
        verbose_name = _("usage event")
        verbose_name_plural = _("usage events")
        constraints = [models.UniqueConstraint(fields=["request_id", "kind"], name="usage_event_once")]
        indexes = [
            models.Index(fields=["created_at"], name="usage_event_created"),
            models.Index(fields=["user_id", "created_at"], name="usage_event_user"),
            models.Index(fields=["key_id", "created_at"], name="usage_event_key"),
            models.Index(fields=["project_id", "created_at"], name="usage_event_project"),
            models.Index(fields=["model", "created_at"], name="usage_event_model"),
        ]

    def __str__(self) -> str:
        return show_request_id(self.request_id)


class Hold(CallColumns):
    """Money set aside for a call, which is sent as soon as this is committed. Its id is the request's."""

    id = models.UUIDField(primary_key=True, editable=False)
    process_id = models.UUIDField()
    amount = MoneyField(_("amount"))
    budget_ids = ArrayField(models.UUIDField(), default=list)
    input_tokens_estimate = models.BigIntegerField(default=0)
    progress_output_tokens = models.BigIntegerField(null=True)  # of the attempt under way
    attempts = models.JSONField(null=True)  # those that were lost
    # Nobody reads it any more. Processes of the release before take a hold without it for one that was never
    # sent; it goes with the next release.
    dispatched_at = models.DateTimeField(null=True, db_default=Now())
    created_at = models.DateTimeField(_("held since"))

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")

    def __str__(self) -> str:
        return str(self.id)


class Budget(TimeStamped):
    """How much may be spent by whom in which period. `allowance` is the limit, raised only on record
    (BudgetOverrun).
    """

    class Level(models.TextChoices):
        TENANT = "tenant", _("organisation")
        PROJECT = "project", _("project")
        USER = "user", _("user")
        KEY = "key", _("API key")

    class Period(models.TextChoices):
        MONTH = "month", pgettext_lazy("period of a budget", "month")
        DAY = "day", pgettext_lazy("period of a budget", "day")
        TOTAL = "total", _("for ever")

    class ManagedBy(models.TextChoices):
        PLAN = "plan", _("plan")
        TENANT = "tenant", _("organisation")

    subject_name = ""  # what people call whose it is, where somebody has looked it up

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    level = models.CharField(_("level"), max_length=8, choices=Level)
    subject_id = models.UUIDField(
        _("whose"), help_text=_("The project, user or key; all zeros for the organisation.")
    )
    period = models.CharField(_("period"), max_length=8, choices=Period, default=Period.MONTH)
    period_start = models.DateTimeField(_("current period since"), editable=False)
    limit = MoneyField(_("limit"), validators=[MinValueValidator(0)])
    allowance = MoneyField(editable=False)
    held = MoneyField(_("held"), default=0, editable=False)
    spent = MoneyField(_("spent"), default=0, editable=False)
    currency = models.CharField(_("currency"), max_length=3, editable=False)
    managed_by = models.CharField(
        _("set by"), max_length=8, choices=ManagedBy, default=ManagedBy.TENANT, editable=False
    )
    warn_at_percent = models.PositiveSmallIntegerField(
        _("warn at percent"), default=80, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.UniqueConstraint(
                fields=["subject_id", "level", "period", "managed_by"], name="usage_budget_once"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    held__gte=0, spent__gte=0, allowance__gte=models.F("held") + models.F("spent")
                ),
                name="usage_budget_never_overspent",
            ),
        ]

    def __str__(self) -> str:
        return self.name_kept(self.get_additional_data())

    def get_additional_data(self) -> dict[str, str]:
        """What the audit log keeps beside the text, for readers of other languages (auditlog asks for it)."""
        return {
            "subject": self.subject_name,
            "level": self.level,
            "limit": str(self.limit),
            "currency": self.currency,
        }

    @classmethod
    def name_kept(cls, kept: dict[str, str]) -> str:
        """What people call the budget of which the audit log keeps this, in the reader's language."""
        whose = kept["subject"] or cls.Level(kept["level"]).label
        return label_value(whose, show_money(Decimal(kept["limit"]), kept["currency"]))


class BudgetOverrun(models.Model):
    """A bill that was higher than its hold and did not fit: booked in full, and recorded here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    budget_id = models.UUIDField(_("budget"))
    request_id = models.UUIDField(
        _("request"), null=True, help_text=_("Empty: the limit was set below what was used.")
    )
    amount = MoneyField(_("above the allowance"))
    created_at = models.DateTimeField(_("booked at"))

    class Meta:
        ordering = ["-created_at", "pk"]
        verbose_name = _("budget overrun")
        verbose_name_plural = _("budget overruns")
        indexes = [models.Index(fields=["budget_id", "created_at"], name="usage_overrun_budget")]

    def __str__(self) -> str:
        return label_value(self.budget_id, show_money(self.amount))


class HourlySum(QuantityColumns):
    """The events of one closed hour, added up. Written by usage.sums, in SQL and by the thousand: hence the
    plain key.
    """

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField(_("hour"))
    user_id = models.UUIDField(_("user"), null=True)
    key_id = models.UUIDField(_("API key"), null=True)
    project_id = models.UUIDField(_("project"), null=True)
    model = models.CharField(_("model"))
    currency = models.CharField(_("currency"), max_length=3)
    calls = models.BigIntegerField(_("calls"))
    errors = models.BigIntegerField(_("errors"))
    # for processes of the release before (usage.older_counts)
    input_tokens = models.BigIntegerField(_("input tokens"))
    cached_tokens = models.BigIntegerField(_("cached tokens"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    reasoning_tokens = models.BigIntegerField(_("reasoning tokens"))
    cost = MoneyField(_("cost"))

    class Meta:
        verbose_name = _("hourly sum")
        verbose_name_plural = _("hourly sums")
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "user_id", "key_id", "project_id", "model", "currency"],
                name="usage_hourly_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.model}"
