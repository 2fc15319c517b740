"""The field for a key that is typed: a form that is refused keeps it, without showing it.

Covers: it stands in the page sealed with the tenant's data key, opens for the person who typed it alone, in
the same administration, and for KEPT_S; a log, a cache or a copy of the page has no key in it.
Does not cover: a person who leaves the form open. Whoever sits there can store the key at another address,
as they could while it stood in the field.
"""

import time
from typing import Any
from uuid import UUID

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget

from tenants.sealing import BrokenSeal, NoDataKey, seal, unseal

KEPT_S = 600


class KeptSecretWidget(UnfoldAdminPasswordWidget):
    """Beside the empty input: what was typed, sealed. `person` types it."""

    person: UUID | None = None

    def has_kept(self, data: Any, name: str) -> bool:
        """Whether the page came with something kept, be it still good or not."""
        return bool(data.get(_beside(name)))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str | None:
        return super().value_from_datadict(data, files, name) or self._open(data.get(_beside(name), ""))

    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> str:
        shown = super().render(name, value, attrs, renderer)
        if not value or self.person is None:
            return shown
        kept = seal(f"{int(time.time())} {value}", **self._place())
        return shown + forms.HiddenInput().render(_beside(name), kept)

    def _open(self, kept: str) -> str:
        """Nothing, where it is not this person's or too old."""
        try:
            typed_at, _space, secret = unseal(kept, **self._place()).partition(" ")
        except (BrokenSeal, NoDataKey):
            return ""
        return secret if time.time() - int(typed_at) <= KEPT_S else ""

    def _place(self) -> dict[str, Any]:
        return {"table": "models_registry_connection", "row": self.person, "field": "typed_secret"}


def _beside(name: str) -> str:
    return f"{name}-kept"
