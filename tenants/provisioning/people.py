"""What tenancy asks of the room that has people, which stands above this one and registers its functions
here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """What a person of the demonstration logs in with."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Those people of the demonstration that were made just now, by first name, and the text of the
    API key that one of them got.
    """

    people: Mapping[str, Login]
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class People:
    """`make_owner(slug, email, password)`: make a tenant's first person, who chooses a password by mail where
    None is given; raises Conflict, InvalidInput. `make_cast(slug, known)`: make the people of the
    demonstration (None: the platform's) inside that scope; `known` are the first names of those whose
    passwords are kept already.
    """

    make_owner: Callable[[str, str, str | None], None]
    make_cast: Callable[[str | None, set[str]], Cast]


_registered: list[People] = []


def register_people(people: People) -> None:
    _registered[:] = [people]


def people() -> People:
    """Raises IndexError where no room has people: every installation has one."""
    return _registered[0]
