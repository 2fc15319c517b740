"""What a room above has to say about keys: it knows their budgets, registers its functions here, and is asked
inside the transaction that makes a key.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import ApiKey, User
from foundation.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class KeyRules:
    """`check(within, user)`: raises NotAllowed where the key `within` may make none for this person, because
    what binds it would not bind the new one. `give_budget(key, amount)`: give a key a monthly budget, the
    amount as somebody wrote it; raises InvalidInput. `is_bound(key)`: whether a budget binds it, its own, its
    person's or its project's.
    """

    check: Callable[[ApiKey, User], None]
    is_bound: Callable[[ApiKey], bool]
    give_budget: Callable[[ApiKey, str], None]


def refuse_bound_key(within: ApiKey | None) -> None:
    """What a key with limits of its own may not change, since it would loosen them: models, prices,
    connections. Raises NotAllowed.
    """
    if within is None:
        return
    if within.model_names or key_rules().is_bound(within):
        raise NotAllowed(
            _(
                "This API key has limits of its own, so it changes neither models, prices nor connections. "
                "Change them in the browser."
            ),
            code="beyond_own_key",
        )


_registered: list[KeyRules] = []


def register_key_rules(rules: KeyRules) -> None:
    _registered[:] = [rules]


def key_rules() -> KeyRules:
    """Raises IndexError where no room knows budgets: every installation has one."""
    return _registered[0]
