"""The shared tables of tenancy. They live in `public`; only the platform's role and the owner read them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin

from foundation.ids import uuid7
from foundation.told import say
from tenants.data_policy import DataPolicy
from tenants.measures import LimitRow, Measure, read_amount
from tenants.slugs import validate_slug

MAX_BYTES = 10**15


class TimeStamped(models.Model):
    """When a row was made and last saved, in UTC."""

    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True


class Plan(TimeStamped):
    """A billing tier: what a tenant may use. An empty limit means no limit. The limits of requests, tokens
    and calls are rows of their own (PlanLimit); they are read here by their names.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(
        _("name"), max_length=40, unique=True, help_text=_("Used in commands and the API; it stays the same.")
    )
    label = models.CharField(_("label"), max_length=80)
    monthly_budget = models.DecimalField(
        _("monthly budget"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("In the tenant's currency. Read-only for the tenant."),
    )
    storage_bytes = models.PositiveBigIntegerField(
        _("storage"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_BYTES)],
        help_text=_("How many bytes a tenant's files may have together."),
    )
    largest_file_bytes = models.PositiveBigIntegerField(
        _("largest file"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_BYTES)],
        help_text=_("In bytes. Empty: what each place takes at most."),
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.label

    @property
    def requests_per_minute(self) -> int | None:
        return read_amount(self.limits, Measure.REQUESTS_PER_MINUTE)

    @property
    def tokens_per_minute(self) -> int | None:
        return read_amount(self.limits, Measure.TOKENS_PER_MINUTE)

    @property
    def tokens_per_day(self) -> int | None:
        return read_amount(self.limits, Measure.TOKENS_PER_DAY)

    @property
    def calls_at_once(self) -> int | None:
        return read_amount(self.limits, Measure.CALLS_AT_ONCE)


class PlanLimit(TimeStamped, LimitRow):
    """What each tenant on a plan may use of something."""

    subject_fields = ("plan",)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    plan = models.ForeignKey(Plan, verbose_name=_("plan"), on_delete=models.CASCADE, related_name="limits")

    class Meta:
        ordering = ["measure"]
        verbose_name = _("limit of a plan")
        verbose_name_plural = _("limits of plans")
        constraints = [
            models.UniqueConstraint(fields=["plan", "measure"], name="tenants_planlimit_once"),
            models.CheckConstraint(condition=models.Q(amount__gte=1), name="tenants_planlimit_above_zero"),
        ]


# django_tenants' mixin names a manager that the stubs do not know
class Tenant(TimeStamped, TenantMixin):  # type: ignore[django-manager-missing]
    """One organisation. Its slug never changes: keys, schema, role and files are named after it."""

    class Status(models.TextChoices):
        PROVISIONING = "provisioning", _("being set up")
        FAILED = "failed", _("set-up failed")
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    UNREADY = (Status.PROVISIONING, Status.FAILED)  # their schema may be missing

    class Currency(models.TextChoices):
        EUR = "EUR", "EUR"
        USD = "USD", "USD"
        CHF = "CHF", "CHF"
        GBP = "GBP", "GBP"
        CNY = "CNY", "CNY"

    auto_create_schema = False  # tenants.provisioning.services clones the template instead
    auto_drop_schema = False

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(_("slug"), max_length=31, unique=True, validators=[validate_slug])
    name = models.CharField(_("name"), max_length=120)
    plan = models.ForeignKey(Plan, verbose_name=_("plan"), on_delete=models.PROTECT, related_name="tenants")
    status = models.CharField(
        _("status"), max_length=16, choices=Status, default=Status.PROVISIONING, editable=False
    )
    currency = models.CharField(_("currency"), max_length=3, choices=Currency, default=Currency.EUR)
    language = models.CharField(
        _("language"),
        max_length=10,
        default="en",
        help_text=_("For mails and for people who have not chosen one."),
    )
    data_policy = models.CharField(
        _("where data may go"),
        max_length=16,
        choices=DataPolicy,
        default=DataPolicy.ANYWHERE,
        db_default="",
        blank=True,
        help_text=_("A call that no allowed connection can take is refused."),
    )
    contact_email = models.EmailField(
        _("contact"), blank=True, help_text=_("The tenant's first owner: gets a mail with a link to log in.")
    )
    setup_error = models.CharField(_("why the set-up failed"), max_length=300, blank=True, editable=False)
    setup_error_words = models.JSONField(null=True, editable=False)  # what it is made of (foundation.told)

    class Meta:
        ordering = ["slug"]
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")

    def __str__(self) -> str:
        return self.name

    @property
    def setup_failure(self) -> str:
        """Why the set-up failed, in the reader's language; "" where it did not."""
        return say(self.setup_error_words, self.setup_error)


class Domain(DomainMixin):
    """A host name that leads to a tenant, without the port."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        ordering = ["domain"]
        verbose_name = _("domain")
        verbose_name_plural = _("domains")

    def __str__(self) -> str:
        return self.domain


class Duty(models.Model):
    """A note that a schema has something to do at a time, so that periodic work finds it in one query.

    Written by tenants through the function `public.atrium_duty`, in their own transaction; read and removed
    by the scheduler.
    """

    id = models.BigAutoField(primary_key=True)
    role = models.CharField(max_length=63)  # the database role that wrote it; names the schema
    kind = models.CharField(max_length=40)
    due_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="tenants_duty_due")]

    def __str__(self) -> str:
        return f"{self.role}: {self.kind}"
