"""Work of the active scope, done here and now."""

from accounts.work_names import QUEUE
from tenants.work.claims import claim_next
from tenants.work.runs import carry_out


def do_work(queue: str = QUEUE, most: int = 50) -> int:
    """All that is due now; how many pieces that was."""
    for count in range(most):
        held = claim_next(queue)
        if held is None:
            return count
        carry_out(held)
    raise AssertionError("it does not end")
