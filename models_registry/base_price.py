"""The columns and truths of a price that a tenant's tables and the platform's twins share."""

import re
from datetime import date
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from tenants.models import Tenant, TimeStamped
from usage.pricing import MAX_PRICE, TOKEN_CLASSES, Price, without_inherited, write_amount
from usage.quantities import CLASSES

PRICE_PLACES = CLASSES["input"].price_places
# An amount as it is stored, in JSON: a text, since JSON's numbers are read as floats. Whether its class may
# have so many places is told by usage.pricing.
WRONG_AMOUNT = (
    '$.* ? (@.type() != "string" || !(@ like_regex "^(1000000([.]0{1,12})?|[0-9]{1,6}([.][0-9]{1,12})?)$"))'
)


def price_column(name) -> models.DecimalField:
    return models.DecimalField(
        name,
        max_digits=24,
        decimal_places=12,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_PRICE), validate_price_places],
    )


def validate_price_places(value: Decimal) -> None:
    if value != round(value, PRICE_PLACES):
        raise ValidationError(
            _("A price has at most %(places)d decimal places."), params={"places": PRICE_PLACES}
        )


class AbstractModelPrice(TimeStamped):
    """What a model costs from a moment on, by class of usage.quantities, in one currency. A new price is a
    new row; rows are never changed.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(  # type: ignore[misc]
        "Model", verbose_name=_("model"), on_delete=models.CASCADE, related_name="prices"
    )
    valid_from = models.DateTimeField(_("valid from"), default=timezone.now)
    currency = models.CharField(
        _("currency"), max_length=3, choices=Tenant.Currency, default=Tenant.Currency.EUR
    )
    # class → text; a class without one costs what it is a part of costs
    amounts = models.JSONField(_("amounts"), null=True, editable=False)
    # For processes of the release before, which write no amounts (NULL) and read these alone: what each class
    # costs, its own price or not. They go with the next release.
    input = price_column(_("input"))
    cached = price_column(_("cached input"))
    output = price_column(_("output"))
    reasoning = price_column(_("reasoning"))

    class Meta:
        abstract = True
        ordering = ["model", "-valid_from"]
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    input__range=(0, MAX_PRICE),
                    cached__range=(0, MAX_PRICE),
                    output__range=(0, MAX_PRICE),
                    reasoning__range=(0, MAX_PRICE),
                ),
                name="%(app_label)s_%(class)s_range",
                violation_error_message=_("A price lies between 0 and 1,000,000 per million tokens."),
            ),
            models.CheckConstraint(
                condition=Q(amounts__isnull=True)
                | ~Q(
                    models.Func(
                        "amounts",
                        models.Value(WRONG_AMOUNT),
                        function="jsonb_path_exists",
                        output_field=models.BooleanField(),
                    )
                ),
                name="%(app_label)s_%(class)s_amounts",
                violation_error_message=_("A price lies between 0 and 1,000,000."),
            ),
            models.UniqueConstraint(
                fields=["model", "currency", "valid_from"],
                name="%(app_label)s_%(class)s_once",
                violation_error_message=_("This model has a price from this moment on already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name_kept(self.get_additional_data())

    def get_additional_data(self) -> dict[str, str]:
        """What the audit log keeps beside the text, for readers of other languages (auditlog asks for it)."""
        return {"model": str(self.model), "from": f"{self.valid_from:%Y-%m-%d}"}

    @classmethod
    def name_kept(cls, kept: dict[str, str]) -> str:
        """What people call the price of which the audit log keeps this."""
        return f"{kept['model']} · {date_format(date.fromisoformat(kept['from']))}"

    @classmethod
    def name_text(cls, text: str) -> str:
        """The same of what earlier releases kept: the text alone, with its day in ISO's form."""
        found = re.fullmatch(r"(.+) (\d{4}-\d\d-\d\d)", text)
        return cls.name_kept({"model": found[1], "from": found[2]}) if found else text

    @property
    def own_amounts(self) -> dict[str, Decimal]:
        """What has a price of its own, by class."""
        if self.amounts is not None:
            return {name: Decimal(amount) for name, amount in self.amounts.items()}
        columns = {name: getattr(self, name) for name in TOKEN_CLASSES}
        return without_inherited(columns)

    @property
    def own_texts(self) -> dict[str, str]:
        return {name: write_amount(amount) for name, amount in self.own_amounts.items()}

    def as_price(self) -> Price:
        return Price(self.currency, **self.own_amounts)
