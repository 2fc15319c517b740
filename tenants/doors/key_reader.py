"""How a request to `/api/v1` shows whose it is, before anything of a tenant is touched. The form of API keys
belongs to a room above, which registers its functions here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class KeyReader:
    """`read(request)`: the key that a request shows, or None. `slug_of(key)`: the slug in it, "" if
    it is none. `is_good(key)`: whether it is a usable key of the active tenant, asked inside its
    scope whatever state its door is in.
    """

    read: Callable[[HttpRequest], str | None]
    slug_of: Callable[[str], str]
    is_good: Callable[[str], bool]


_registered: list[KeyReader] = []


def register_key_reader(reader: KeyReader) -> None:
    _registered[:] = [reader]


def key_reader() -> KeyReader:
    """Raises IndexError where no room has keys: every installation has one."""
    return _registered[0]
