"""Shared tables of usage, in `public`."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from usage.quantities import TOKENS, Quantities

LEASE = timedelta(seconds=20)  # without a heartbeat for so long, a process is taken for dead


class ProcessQuerySet(models.QuerySet):
    def living(self) -> "ProcessQuerySet":
        """Those whose lease has not run out, by the database's clock."""
        return self.filter(ended_at=None, heartbeat_at__gt=Now() - LEASE)


class Process(models.Model):
    """A process that holds money for calls. Its heartbeat is the lease of all its holds."""

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(_("kind"), max_length=20)
    host = models.CharField(_("host"), max_length=255)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    heartbeat_at = models.DateTimeField(_("last heard of at"), db_default=Now())
    ended_at = models.DateTimeField(_("ended at"), null=True)

    objects = ProcessQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return f"{self.kind} on {self.host}"


class TenantSum(models.Model):
    """What one tenant used on one day (UTC): figures only."""

    id = models.BigAutoField(primary_key=True)
    slug = models.CharField(_("tenant"), max_length=31)
    day = models.DateField(_("day"))
    currency = models.CharField(_("currency"), max_length=3)
    calls = models.BigIntegerField(_("calls"))
    errors = models.BigIntegerField(_("errors"))
    tokens = models.BigIntegerField(_("tokens"))
    # NULL: told by the release before, which knew nothing but tokens
    quantities = models.JSONField(_("quantities"), null=True)
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=12)

    class Meta:
        ordering = ["-day", "slug"]
        verbose_name = _("daily sum of a tenant")
        verbose_name_plural = _("daily sums of tenants")
        constraints = [
            models.UniqueConstraint(fields=["slug", "day", "currency"], name="usage_platform_sum_once")
        ]

    def __str__(self) -> str:
        return f"{self.slug} {self.day}"

    @property
    def used_beside_tokens(self) -> Quantities:
        return {name: count for name, count in (self.quantities or {}).items() if name not in TOKENS}
