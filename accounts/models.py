"""People, projects and keys of one tenant, with their rights and limits; in `public`, the operators of the
platform.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Permission, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from accounts.objects import MODEL, name_objects
from accounts.roles import name_role
from foundation.ids import uuid7
from foundation.spacing import label_value
from foundation.time_zones import list_time_zones
from tenants.context import scope_label
from tenants.data_policy import DataPolicy
from tenants.measures import LimitRow, Measure, read_amount, say_limit
from tenants.models import TimeStamped


def validate_time_zone(value: str) -> None:
    if value not in list_time_zones():
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

    @property
    def user_permissions(self) -> models.QuerySet[Permission]:  # type: ignore[override]
        """None: rights come from roles alone. Django's backend asks for a person's own beside them."""
        return Permission.objects.none()

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


MAX_AUTO_MODELS = 20


def validate_auto_models(value: object) -> None:
    if (
        not isinstance(value, list)
        or len(value) > MAX_AUTO_MODELS
        or not all(isinstance(name, str) and 0 < len(name) <= 120 for name in value)
        or len(set(value)) < len(value)
    ):
        raise ValidationError(_("At most %(limit)d names, each once."), params={"limit": MAX_AUTO_MODELS})


class Project(TimeStamped):
    """What usage, budgets and keys are booked on. Each tenant has one default project."""

    # of the default project; until somebody renames it, people read it in their language
    ORIGINAL_NAME = "Default"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=120, unique=True)
    is_default = models.BooleanField(_("default"), default=False, editable=False)
    data_policy = models.CharField(
        _("where data may go"),
        max_length=16,
        choices=DataPolicy,
        default=DataPolicy.ANYWHERE,
        db_default="",
        blank=True,
        help_text=_("A call that no allowed connection can take is refused."),
    )
    auto_models = models.JSONField(
        _("models for “auto”"),
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        validators=[validate_auto_models],
    )

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
        return self.name_kept(self.name) if self.is_default else self.name

    @classmethod
    def name_kept(cls, text: str) -> str:
        """What people call the project of which the audit log keeps this text."""
        return pgettext("project", "Default") if text == cls.ORIGINAL_NAME else text


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
    # the key that made it and those that made that one, the first one first; bound by their limits as well,
    # in their counters, also once they are revoked
    maker_ids = ArrayField(
        models.UUIDField(),
        default=list,
        db_default=models.Value([], ArrayField(models.UUIDField())),
        blank=True,
        editable=False,
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
    def name_with_owner(self) -> str:
        """For whoever chooses among keys of several people, who may have called theirs alike."""
        return f"{self.name} (…{self.key_id}…, {self.user})"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and not self.is_expired

    @property
    def scope_labels(self) -> list[str]:
        """What it allows, in words; a scope that the running code does not know stands as it is written."""
        labels = dict(self.Scope.choices)
        return [str(labels.get(scope, scope)) for scope in self.scopes]

    @property
    def limit_texts(self) -> list[str]:
        """Its own limits, in words and always in the same order."""
        rows = sorted(self.limits.all(), key=lambda row: Measure.values.index(row.measure))
        return [say_limit(row.measure, row.amount) for row in rows]

    @property
    def requests_per_minute(self) -> int | None:
        """Its limit, for which the API, the pages and the commands have a field of this name."""
        return read_amount(self.limits, Measure.REQUESTS_PER_MINUTE) if self.pk else None


class Holder(models.Model):
    """To whom something is given: a role, a project or a person, exactly one of them."""

    role = models.ForeignKey(
        "auth.Group", verbose_name=_("role"), null=True, blank=True, on_delete=models.PROTECT
    )
    project = models.ForeignKey(
        Project, verbose_name=_("project"), null=True, blank=True, on_delete=models.PROTECT
    )
    user = models.ForeignKey(User, verbose_name=_("person"), null=True, blank=True, on_delete=models.PROTECT)

    class Meta:
        abstract = True


class Grant(TimeStamped, Holder):
    """Who may use an object, or may not. Without any the whole tenant may; with one that allows, only those
    who are named; who is refused is refused, whatever else allows it.

    Objects are other rooms' (accounts.objects), also the platform's as the tenant sees them: no foreign key.
    Holders are protected: with the last one that is allowed the object would be open to all.
    """

    class Effect(models.TextChoices):
        ALLOW = "allow", _("may use it")
        DENY = "deny", _("may not use it")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind of object"), max_length=20)
    object_id = models.UUIDField(_("object"))
    object_name = models.CharField(
        _("name"), max_length=200, help_text=_("What the object was called when the right was given.")
    )
    effect = models.CharField(_("effect"), max_length=5, choices=Effect, default=Effect.ALLOW)

    class Meta:
        ordering = ["object_name", "-created_at", "pk"]
        verbose_name = _("right of use")
        verbose_name_plural = _("rights of use")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id", "role", "project", "user"],
                name="accounts_grant_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(role__isnull=False, project__isnull=True, user__isnull=True)
                | models.Q(role__isnull=True, project__isnull=False, user__isnull=True)
                | models.Q(role__isnull=True, project__isnull=True, user__isnull=False),
                name="accounts_grant_one_holder",
            ),
        ]

    def __str__(self) -> str:
        return self.name_kept(self.get_additional_data())

    def get_additional_data(self) -> dict[str, Any]:
        """What the audit log keeps beside the text, for readers of other languages (auditlog asks for it)."""
        holder = self.project or self.user
        return {
            "object": self.object_name,
            "role": self.role.name if self.role else "",
            "holder": str(holder) if holder else "",
            "effect": self.effect,
        }

    @classmethod
    def name_kept(cls, kept: dict[str, Any]) -> str:
        """What people call the right of which the audit log keeps this, in the reader's language."""
        holder = name_role(kept["role"]) if kept["role"] else kept["holder"]
        return label_value(f"{kept['object']}, {holder}", cls.Effect(kept["effect"]).label)


class Limit(TimeStamped, LimitRow):
    """How much of something the organisation, a project, a person, a key or all who call a model may use.
    Those of the plan stand in `public` (tenants.models.PlanLimit).
    """

    class Level(models.TextChoices):
        TENANT = "tenant", _("organisation")
        PROJECT = "project", _("project")
        USER = "user", _("person")
        KEY = "key", _("API key")
        MODEL = "model", _("model")

    subject_fields = ("project", "user", "key")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    level = models.CharField(_("level"), max_length=8, choices=Level)
    project = models.ForeignKey(
        Project,
        verbose_name=_("project"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="limits",
    )
    user = models.ForeignKey(
        User, verbose_name=_("person"), null=True, blank=True, on_delete=models.CASCADE, related_name="limits"
    )
    key = models.ForeignKey(
        ApiKey,
        verbose_name=_("API key"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="limits",
    )
    # the tenant's own or the platform's: no foreign key
    model_id = models.UUIDField(_("model"), null=True, blank=True)

    class Meta:
        ordering = ["level", "measure", "pk"]
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        constraints = [
            models.UniqueConstraint(
                fields=["level", "project", "user", "key", "model_id", "measure"],
                name="accounts_limit_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(level="tenant", project=None, user=None, key=None, model_id__isnull=True)
                | models.Q(level="project", project__isnull=False, user=None, key=None, model_id__isnull=True)
                | models.Q(level="user", project=None, user__isnull=False, key=None, model_id__isnull=True)
                | models.Q(level="key", project=None, user=None, key__isnull=False, model_id__isnull=True)
                | models.Q(level="model", project=None, user=None, key=None, model_id__isnull=False),
                name="accounts_limit_one_subject",
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=1), name="accounts_limit_above_zero"),
        ]

    def get_additional_data(self) -> dict[str, Any]:
        kept = super().get_additional_data() | {"level": self.level}
        if self.model_id is not None:
            kept["subject"] = name_objects(MODEL).get(self.model_id, "")
        return kept

    @classmethod
    def name_kept(cls, kept: dict[str, Any]) -> str:
        return super().name_kept(kept | {"subject": kept["subject"] or cls.Level(kept["level"]).label})

    @property
    def subject_id(self) -> UUID | None:
        """Whose limit it is; None: the organisation's."""
        return self.project_id or self.user_id or self.key_id or self.model_id
