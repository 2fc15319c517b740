"""Step 5: what may go to a model at all. Here: size. Masking, blocked terms and heuristics come as further
checks of this step.
"""

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.calls import Call

BYTES_PER_TOKEN_AT_MOST = 64  # no usual tokenizer packs more text than that into one token on average


def guard_input(call: Call) -> None:
    """Refuse what cannot fit, before anything is held or sent. Raises InvalidInput."""
    window = call.route.context_window
    if window and call.size_bytes > window * call.text_count * BYTES_PER_TOKEN_AT_MOST:
        message = _("This is far longer than the model's context of %(window)s tokens. Shorten it.")
        raise InvalidInput(
            message % {"window": window}, code="context_length_exceeded", param=call.operation.input_name
        )
