"""What a room above has to say about keys: it knows their budgets, registers its functions here, and is asked
inside the transaction that makes a key.
"""

from collections.abc import Callable
from dataclasses import dataclass

from accounts.models import ApiKey, User


@dataclass(frozen=True, slots=True)
class KeyRules:
    """`check(within, user)`: raises NotAllowed where the key `within` may make none for this person, because
    what binds it would not bind the new one. `give_budget(key, amount)`: give a key a monthly budget, the
    amount as somebody wrote it; raises InvalidInput.
    """

    check: Callable[[ApiKey, User], None]
    give_budget: Callable[[ApiKey, str], None]


_registered: list[KeyRules] = []


def register_key_rules(rules: KeyRules) -> None:
    _registered[:] = [rules]


def key_rules() -> KeyRules:
    """Raises IndexError where no room knows budgets: every installation has one."""
    return _registered[0]
