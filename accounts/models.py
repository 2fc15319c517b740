"""People, projects and keys of one tenant; in `public`, the operators of the platform."""

import zoneinfo

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from foundation.ids import uuid7
from tenants.context import scope_label
from tenants.models import TimeStamped


def validate_time_zone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(zone)s” is not a time zone. Use a name such as Europe/Berlin."), params={"zone": value}
        )


class UserManager(BaseUserManager["User"]):
    """Looks people up by e-mail address, whatever its case. Rows are made by accounts.services."""

    use_in_migrations = True

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(TimeStamped, AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an e-mail address. In `public`: an operator, who is deactivated but never
    deleted.
    """

    class Theme(models.TextChoices):
        SYSTEM = "system", _("like the device")
        LIGHT = "light", _("light")
        DARK = "dark", _("dark")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=120)
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=settings.LANGUAGES,
        blank=True,
        help_text=_("Empty: the browser's language."),
    )
    theme = models.CharField(_("appearance"), max_length=6, choices=Theme, default=Theme.SYSTEM)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Empty: UTC, until the browser tells it at log-in."),
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Someone who is not active cannot log in, and none of their keys works."),
    )

    objects = UserManager()
    USERNAME_FIELD = EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name", "email"]
        verbose_name = _("user")
        verbose_name_plural = _("users")
        permissions = [("access_admin", _("May enter the administration"))]
        constraints = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0]

    @property
    def is_staff(self) -> bool:
        """Whether the administration opens for this person (Django's admin asks for this name)."""
        return self.is_active and (self.is_superuser or self.has_perm("accounts.access_admin"))

    def _get_session_auth_hash(self, secret=None) -> str:
        """A session is worth nothing in another tenant, even for a person with the same id and password hash
        there.
        """
        return salted_hmac(
            f"accounts.session.{scope_label()}", self.password, secret=secret, algorithm="sha256"
        ).hexdigest()


class Project(TimeStamped):
    """What usage, budgets and keys are booked on. Each tenant has one default project."""

    # of the default project; until somebody renames it, people read it in their language
    ORIGINAL_NAME = "Default"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=120, unique=True)
    is_default = models.BooleanField(_("default"), default=False, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = _("project")
        verbose_name_plural = _("projects")
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=models.Q(is_default=True),
                name="accounts_project_one_default",
            )
        ]

    def __str__(self) -> str:
        return (
            pgettext("project", "Default")
            if self.is_default and self.name == self.ORIGINAL_NAME
            else self.name
        )


class ProjectMembership(TimeStamped):
    """What a person may do in one project."""

    class Role(models.TextChoices):
        VIEWER = "viewer", _("viewer")
        EDITOR = "editor", _("editor")
        MANAGER = "manager", _("manager")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(
        Project, verbose_name=_("project"), on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(_("role"), max_length=8, choices=Role, default=Role.EDITOR)

    class Meta:
        verbose_name = _("project member")
        verbose_name_plural = _("project members")
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="accounts_membership_once")]

    def __str__(self) -> str:
        return f"{self.user} – {self.project}"


class ApiKey(TimeStamped):
    """A secret for programs. Only its SHA-256 is stored: 256 random bits need no slow hash (OWASP ASVS
    V6.5.2).
    """

    class Scope(models.TextChoices):
        INFERENCE = "inference", _("Call models (/v1)")
        READ = "read", _("Read the management API (/api/v1)")
        MANAGE = "manage", _("Change things through the management API (/api/v1)")
        ORGANIZATION = "organization", _("Read usage and costs of the organisation (/v1/organization)")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key_id = models.CharField(_("key id"), max_length=8, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    name = models.CharField(_("name"), max_length=120)
    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="api_keys")
    project = models.ForeignKey(
        Project, verbose_name=_("project"), on_delete=models.PROTECT, related_name="api_keys"
    )
    scopes = models.JSONField(_("scopes"), default=list)
    model_names = models.JSONField(
        _("models"),
        default=list,
        blank=True,
        help_text=_("Names of the models this key may call. Empty: all."),
    )
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} (…{self.key_id})"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and not self.is_expired
