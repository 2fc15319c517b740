"""What the rooms above do when a tenant comes to be, is migrated or has another plan, and at each start.

They register a function, and are called one after the other in the order of registering. These are no
announcements: whoever runs an occasion answers for a failure, by undoing (`create_tenant`), by trying again
later (`tell_plan`) or by stopping.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec

if TYPE_CHECKING:
    from tenants.models import Plan

P = ParamSpec("P")


class Occasion(Generic[P]):
    """The functions that rooms have registered for one occasion. All must be safe to call again."""

    def __init__(self) -> None:
        self._functions: list[Callable[P, None]] = []

    def register(self, function: Callable[P, None]) -> Callable[P, None]:
        """As a decorator."""
        self._functions.append(function)
        return function

    def run(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Raises what the first function raises that fails; those behind it are not called."""
        for function in self._functions:
            function(*args, **kwargs)


new_tenant = Occasion[[str]]()  # slug: inside its scope, in one transaction with what the others do
migrated_tenant = Occasion[[str]]()  # slug: inside its scope, in a transaction
# slug, plan: a plan has other limits or a tenant another plan; outside any scope
changed_plan: "Occasion[[str, Plan]]" = Occasion()
platform_start = Occasion[[]]()  # inside the platform's scope and in no transaction
# slug, what the demonstration's file keeps of it, which may be changed: at each start, inside the scope of
# the first tenant of the demonstration, in a transaction; the file is written after that
demo_tenant: "Occasion[[str, dict[str, Any]]]" = Occasion()
