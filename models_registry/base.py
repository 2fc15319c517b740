"""The columns and truths that a tenant's tables and the platform's twins share."""

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q, Value
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from foundation.told import say
from models_registry.kinds import AUTO, Channel, Location, ModelKind, TokenLimitName
from models_registry.languages import validate_languages
from models_registry.providers.table import kind_choices
from tenants.models import TimeStamped
from tenants.sealing import SealedTextField, Secret, open_field
from usage.pricing import Price

MAX_NAMES = 20
MAX_WEIGHT = 1_000
RESERVED_NAMES = frozenset({AUTO})
STAND_INS_HELP = _(
    "Models that answer where this one does not, in this order, at their own prices. Their own stand-ins are "
    "not asked."
)
LANGUAGES_HELP = _(
    "In which it answers well. Where “auto” chooses, questions in others go elsewhere. Without any, it is "
    "asked in all."
)
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"


def validate_model_name(value: str) -> None:
    if value.lower() in RESERVED_NAMES:
        raise ValidationError(_("“%(name)s” is reserved. Choose another name."), params={"name": value})


def validate_capabilities(value: object) -> None:
    if (
        not isinstance(value, list)
        or not all(isinstance(item, str) and 0 < len(item) <= 40 for item in value)
        or len(value) > 40
    ):
        raise ValidationError(
            _('Capabilities are a list of at most 40 short words, such as ["tools", "vision"].')
        )


def validate_names(value: object) -> None:
    if not isinstance(value, list) or len(value) > MAX_NAMES or len(set(map(str, value))) < len(value):
        raise ValidationError(_("At most %(limit)d names, each once."), params={"limit": MAX_NAMES})
    for name in value:
        if not isinstance(name, str) or len(name) > 120 or not re.match(NAME_PATTERN, name):
            raise ValidationError(_("“%(name)s” is no model's name."), params={"name": str(name)[:120]})
        validate_model_name(name)


def weight_column() -> models.PositiveSmallIntegerField:
    return models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        db_default=1,
        validators=[MaxValueValidator(MAX_WEIGHT)],
        help_text=_("Its share of the calls, beside the weights of the other endpoints. 0: only in need."),
    )


def at_least(column: str, least: int, message) -> models.CheckConstraint:
    condition = Q(**{f"{column}__gte": least}) | Q(**{f"{column}__isnull": True})
    return models.CheckConstraint(
        condition=condition, name=f"%(app_label)s_%(class)s_{column}_range", violation_error_message=message
    )


MAX_TIMEOUT_S = 3_600  # the ledger takes a call of twice that for forgotten


def timeout_column(name, most: int) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(
        name,
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(most)],
        help_text=_("In seconds. Empty: as usual for its kind."),
    )


class AbstractConnection(TimeStamped):
    """A way to a provider: address, secret, and what is known of the place."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        _("name"),
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"\S")],
        error_messages={"unique": _("There is a connection of this name already.")},
    )
    kind = models.CharField(_("kind"), max_length=20, choices=kind_choices)
    base_url = models.CharField(
        _("base address"), max_length=500, help_text=_("With the version, such as https://api.openai.com/v1.")
    )
    secret = SealedTextField(_("API key"), help_text=_("Stored encrypted and never shown again."))
    allow_private = models.BooleanField(
        _("may reach private networks"),
        default=False,
        editable=False,
        help_text=_("Only the operator of the platform sets this."),
    )
    location = models.CharField(
        _("location"), max_length=8, choices=Location, default=Location.UNKNOWN, blank=True
    )
    no_storage = models.BooleanField(
        _("stores nothing"),
        default=False,
        help_text=_("The provider has agreed to keep neither prompts nor answers."),
    )
    connect_timeout_s = timeout_column(_("time to connect"), 60)
    first_byte_timeout_s = timeout_column(_("time to the first piece"), MAX_TIMEOUT_S)
    idle_timeout_s = timeout_column(_("time between two pieces"), MAX_TIMEOUT_S)
    total_timeout_s = timeout_column(_("time for a whole answer"), MAX_TIMEOUT_S)
    token_limit_name = models.CharField(
        _("name of the limit of an answer"),
        max_length=24,
        choices=TokenLimitName,
        default=TokenLimitName.USUAL,
        db_default="",
        blank=True,
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    last_checked_at = models.DateTimeField(_("last checked"), null=True, blank=True, editable=False)
    last_error = models.TextField(_("last error"), blank=True, editable=False)
    last_error_words = models.JSONField(null=True, editable=False)  # what it is made of (foundation.told)

    class Meta:
        abstract = True
        ordering = ["name"]
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        constraints = [
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(base_url=""),
                name="%(app_label)s_%(class)s_not_empty",
                violation_error_message=_("A connection needs a name and an address."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def failure(self) -> str:
        """What went wrong at the last check, in the reader's language; "" where nothing did."""
        return say(self.last_error_words, self.last_error)

    @property
    def has_secret(self) -> bool:
        return bool(self.secret)

    def open_secret(self) -> Secret | None:
        """The API key, or None. Raises BrokenSeal and NoDataKey. Call inside the scope that holds the row."""
        return open_field(self, "secret")


class AbstractModel(TimeStamped):
    """What users name in `model=`: a provider's model, its limits and where it is in its life."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        _("name"),
        max_length=120,
        unique=True,
        error_messages={"unique": _("There is a model of this name already.")},
        validators=[
            RegexValidator(
                NAME_PATTERN,
                _("A name has letters, digits and . _ : / @ + - and starts with a letter or digit."),
            ),
            validate_model_name,
        ],
        help_text=_("What is written in “model”."),
    )
    label = models.CharField(
        _("label"), max_length=120, blank=True, help_text=_("Shown to people. Empty: the name.")
    )
    connection = models.ForeignKey(  # type: ignore[misc]
        "Connection", verbose_name=_("connection"), on_delete=models.PROTECT, related_name="models"
    )
    upstream_name = models.CharField(_("the provider's name"), max_length=200)
    kind = models.CharField(_("kind"), max_length=16, choices=ModelKind, default=ModelKind.CHAT)
    context_window = models.PositiveIntegerField(
        _("context window"), null=True, blank=True, help_text=_("In tokens. Empty: unknown.")
    )
    max_output_tokens = models.PositiveIntegerField(
        _("longest answer"), null=True, blank=True, help_text=_("In tokens. Empty: unknown.")
    )
    default_max_output_tokens = models.PositiveIntegerField(
        _("usual longest answer"),
        default=4_096,
        help_text=_("In tokens: what a call without a limit of its own is sent with and reserved at."),
    )
    capabilities = models.JSONField(
        _("capabilities"), default=list, blank=True, validators=[validate_capabilities]
    )
    languages = models.JSONField(
        _("languages"),
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        validators=[validate_languages],
        help_text=LANGUAGES_HELP,
    )
    licence = models.CharField(_("licence"), max_length=80, blank=True)
    channel = models.CharField(_("channel"), max_length=16, choices=Channel, default=Channel.STABLE)
    stable_since = models.DateField(_("stable since"), null=True, blank=True, editable=False)
    retire_on = models.DateField(_("retires on"), null=True, blank=True)
    successor = models.CharField(
        _("successor"), max_length=120, blank=True, help_text=_("The name of the model to use instead.")
    )
    weight = weight_column()
    aliases = models.JSONField(
        _("other names"),
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        validators=[validate_names],
        help_text=_("Under which it can be called too."),
    )
    fallbacks = models.JSONField(
        _("stand-ins"),
        default=list,
        db_default=Value([], models.JSONField()),
        blank=True,
        validators=[validate_names],
        help_text=STAND_INS_HELP,
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("Chosen where nobody chooses, one per kind.")
    )
    is_demo = models.BooleanField(_("demonstration"), default=False, editable=False)
    listed_at = models.DateTimeField(_("last seen in the catalogue"), null=True, blank=True, editable=False)
    # What the provider's catalogue says of its price (usage.pricing.Price.snapshot). A proposal: nothing is
    # billed by it before somebody takes it over. Or a "reason" why what it says is no proposal. While a newer
    # release takes over it may say what this one does not know yet.
    listed_price = models.JSONField(_("price in the catalogue"), null=True, blank=True, editable=False)
    # What the last synchronisation wrote, by field: a value that stands here and in its column is renewed by
    # the next one, any other is somebody's own. None: fetched by a release that did not note it. With
    # "is_enabled": nobody switched it off, it waits for its price.
    listed_values = models.JSONField(null=True, blank=True, editable=False)
    vanished_at = models.DateTimeField(
        _("vanished from the catalogue"), null=True, blank=True, editable=False
    )
    notes = models.TextField(_("notes"), blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]
        verbose_name = _("model")
        verbose_name_plural = _("models")
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=NAME_PATTERN) & ~Q(upstream_name=""),
                name="%(app_label)s_%(class)s_names",
                violation_error_message=_(
                    "A model needs a name of letters, digits and . _ : / @ + - and the provider's name for "
                    "it."
                ),
            ),
            at_least("context_window", 1, _("The context window must be at least 1 token.")),
            at_least("max_output_tokens", 1, _("The longest answer must be at least 1 token.")),
            at_least("default_max_output_tokens", 1, _("The usual longest answer must be at least 1 token.")),
            models.CheckConstraint(
                condition=Q(max_output_tokens__isnull=True)
                | Q(default_max_output_tokens__lte=F("max_output_tokens")),
                name="%(app_label)s_%(class)s_output_order",
                violation_error_message=_(
                    "The usual longest answer must not be longer than the longest answer."
                ),
            ),
            models.CheckConstraint(
                condition=~Q(successor=F("name")),
                name="%(app_label)s_%(class)s_successor",
                violation_error_message=_("A model cannot be its own successor."),
            ),
            models.UniqueConstraint(
                fields=["kind"],
                condition=Q(is_default=True),
                name="%(app_label)s_%(class)s_one_default",
                violation_error_message=_("There is a default model of this kind already."),
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def waits_for_price(self) -> bool:
        """Whether it is off for lack of a price alone: its first price switches it on."""
        return self.is_marked_waiting and not self.is_enabled and self.vanished_at is None

    @property
    def is_marked_waiting(self) -> bool:
        """The same also of one that has vanished meanwhile."""
        return "is_enabled" in (self.listed_values or {})

    @property
    def proposed_price(self) -> dict[str, str] | None:
        """What the catalogue says that somebody could take over."""
        return self.listed_price if _is_price(self.listed_price) else None

    @property
    def is_priced_otherwise(self) -> bool:
        """Whether the catalogue says something of its price that cannot be taken over: it asks money in
        another way, or the note is a newer release's.
        """
        return bool(self.listed_price) and not _is_price(self.listed_price)


def _is_price(snapshot: Any) -> bool:
    try:
        return not Price.from_snapshot(snapshot).is_unset
    except ValueError:
        return False


class AbstractModelEndpoint(TimeStamped):
    """A further connection that has a model, beside the model's own."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(  # type: ignore[misc]
        "Model", verbose_name=_("model"), on_delete=models.CASCADE, related_name="endpoints"
    )
    connection = models.ForeignKey(  # type: ignore[misc]
        "Connection", verbose_name=_("connection"), on_delete=models.PROTECT, related_name="endpoints"
    )
    upstream_name = models.CharField(_("the provider's name"), max_length=200)
    weight = weight_column()

    class Meta:
        abstract = True
        ordering = ["created_at", "pk"]
        default_permissions = ()  # who may change the model may change them
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints = [
            models.UniqueConstraint(
                fields=["model", "connection", "upstream_name"],
                name="%(app_label)s_%(class)s_once",
                violation_error_message=_("This model has this endpoint already."),
            ),
            models.CheckConstraint(
                condition=~Q(upstream_name=""),
                name="%(app_label)s_%(class)s_named",
                violation_error_message=_("An endpoint needs the provider's name for the model."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} – {self.connection}"


class AbstractFormerLabel(models.Model):
    """What people called a model by a name that no row has any more: conversations, bills and sums of the
    past keep the name alone.
    """

    name = models.CharField(primary_key=True, max_length=120)
    label = models.CharField(max_length=120)

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return self.label
