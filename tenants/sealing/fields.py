"""A model field for secrets: the column holds ciphertext, the attribute never the plain text.

    connection.secret = Secret("sk-…")   # or a str; sealed when the row is saved
    open_field(connection, "secret")     # → Secret, or None where nothing is stored

Guards against: secrets in forms' initial values, serialisers, fixtures, audit entries, `values()` and
filters.
Does not guard against: `reveal()` in the wrong place.
"""

from typing import Any

from django import forms
from django.core import checks
from django.core.exceptions import FieldError
from django.db import models

from tenants.sealing.crypto import seal, unseal
from tenants.sealing.secret import MASK, Secret


class SealedText:
    """A ciphertext as the database has it. Shows a mask; false where nothing is stored."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    def __str__(self) -> str:
        return MASK if self.ciphertext else ""

    def __repr__(self) -> str:
        return f"SealedText('{self}')"

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SealedText) and self.ciphertext == other.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)


def open_field(row: models.Model, name: str) -> Secret | None:
    """The secret in a row's sealed field, or None. Raises BrokenSeal and NoDataKey. Call inside the scope
    that holds the row.
    """
    value = getattr(row, name)
    if isinstance(value, SealedText):
        return (
            Secret(unseal(value.ciphertext, table=row._meta.db_table, row=row.pk, field=name))
            if value
            else None
        )
    if isinstance(value, str):
        value = Secret(value)
    return value or None


class SealedTextField(models.TextField):
    """Write-only text. What is assigned is plain text, whatever it looks
    like; what is read is a SealedText.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"blank": True, "default": ""}
        super().__init__(*args, **kwargs)

    def deconstruct(self):
        name, path, args, kwargs = super().deconstruct()
        del kwargs["blank"], kwargs["default"]
        return name, path, args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        if not self.model._meta.abstract and not self.model._meta.pk.has_default():
            message = "The row's id is part of the seal, so it must exist before saving."
            found.append(checks.Error(message, hint="Use a UUID with a default.", obj=self, id="atrium.E010"))
        return found

    # -- the database ----------------------------------------------------------------------------------------

    def from_db_value(self, value: str | None, expression, connection) -> SealedText | None:
        return None if value is None else SealedText(value)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Secret | SealedText) else super().to_python(value)

    def pre_save(self, row: models.Model, add: bool) -> SealedText:
        value = getattr(row, self.attname)
        if not isinstance(value, SealedText):
            plain = value.reveal() if isinstance(value, Secret) else value or ""
            value = SealedText(
                seal(plain, table=row._meta.db_table, row=row.pk, field=self.attname) if plain else ""
            )
            setattr(row, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> str:
        if isinstance(value, SealedText):
            return value.ciphertext
        if value in ("", None):
            return ""
        raise TypeError(
            f"{self.attname} is sealed: assign it to a row and save that; update(), bulk_update() and "
            "filters cannot seal."
        )

    def get_lookup(self, lookup_name: str):
        if lookup_name not in ("exact", "isnull"):
            raise FieldError(f"{self.attname} is sealed: it can only be compared with the empty text.")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str):
        raise FieldError(f"{self.attname} is sealed: it can only be compared with the empty text.")

    # -- forms and serialisers -------------------------------------------------------------------------------

    def value_from_object(self, row: models.Model) -> Any:
        return ""

    def value_to_string(self, row: models.Model) -> str:
        return ""

    def save_form_data(self, row: models.Model, data: Any) -> None:
        """An empty input keeps what is stored: the form could not show it."""
        if data:
            setattr(row, self.attname, Secret(data))

    def formfield(self, **kwargs: Any) -> forms.Field:
        kwargs.pop("max_length", None)
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
        return forms.CharField(
            **{
                "required": False,
                "label": self.verbose_name,
                "help_text": self.help_text,
                "max_length": 10_000,
                **kwargs,
                "widget": widget,
            }
        )
