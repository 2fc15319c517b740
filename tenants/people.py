"""What tenancy asks of the room that has people, which stands above this
one and registers its functions here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class People:
    """`make_owner(slug, email, password)`: make a tenant's first person, who chooses a password by mail where
    None is given; raises Conflict, InvalidInput. `make_cast(slug, known)`: make the people of the
    demonstration (None: the platform's) inside that scope and give first name → log-in; `known` are those
    whose passwords are kept already.
    """

    make_owner: Callable[[str, str, str | None], None]
    make_cast: Callable[[str | None, set[str]], dict[str, Any]]


_registered: list[People] = []


def register_people(people: People) -> None:
    _registered[:] = [people]


def people() -> People:
    """Raises IndexError where no room has people: every installation has one."""
    return _registered[0]
