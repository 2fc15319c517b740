"""Why an answer failed, in the reader's language: said anew, of what the text was made of."""

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from foundation.told import read
from prompts.models import Message

_UNREACHABLE = _("The model server cannot be reached. Try again, or choose another model.")
_REPORTED = _("The model server reported an error. Try again, or choose another model.")
_TOO_MUCH = _("There were too many requests at once or in a short time. Try again in a moment.")

# code → what can be said without the figures and names that the kept text may have
WORDS = {
    "insufficient_quota": _("This answer could have cost more than is left of a budget."),
    "rate_limit_exceeded": _TOO_MUCH,
    "too_many_calls": _TOO_MUCH,
    "data_policy": _("The data policy of your organisation or project lets no data go there."),
    "context_length_exceeded": _("Shorten your message, or choose a model with more context."),
    "internal_error": _("Something went wrong on our side. Try again; if it stays, report the request id."),
    "access_ended": _("Your access ended while this answer was being written. What arrived is kept."),
    "tenant_suspended": _("This organisation's access is suspended. Its data is kept."),
    "tenant_upgrading": _("This organisation is being upgraded. Try again in a moment."),
    "overloaded": _("The server has as many calls in work as it can do. Try again in a moment."),
    "ledger_unavailable": _("The ledger cannot be reached at the moment. Try again in a few seconds."),
    "upstream_unreachable": _UNREACHABLE,
    "host_not_found": _UNREACHABLE,
    "egress_refused": _UNREACHABLE,
    "redirected": _(
        "The model server sends calls to another address. An administrator must enter that one under "
        "Connections."
    ),
    "upstream_timeout": _("The model server did not answer in time. Try again, or choose another model."),
    "upstream_idle": _("The model server stopped in the middle of its answer. What arrived is kept."),
    "upstream_incomplete": _("The model server ended its answer in the middle. What arrived is kept."),
    "upstream_endless": _(
        "The model server did not end its answer where it was told to. What arrived is kept."
    ),
    "upstream_disconnected": _("The model server broke the connection. Try again."),
    "upstream_error": _REPORTED,
    "upstream_refused": _REPORTED,
    "upstream_invalid_response": _(
        "The model server's answer makes no sense. Try again, or choose another model."
    ),
    "upstream_invalid_request": _("The model server found the request invalid."),
    "upstream_unavailable": _(
        "The model server has failed many times in a row and is left alone for a moment. Try again later, "
        "or choose another model."
    ),
    "upstream_rate_limited": _("The provider's limit is reached. Try again later, or choose another model."),
    "upstream_limit_too_small": _(
        "This request needs more tokens than the provider's limit for this connection allows. Shorten it, "
        "or choose another model."
    ),
    "upstream_request_too_large": _(
        "The request is larger than the model server, or a proxy in front of it, takes. Shorten it, or "
        "choose another model."
    ),
    "upstream_credentials": _(
        "The provider refuses this connection's credentials. An administrator must renew them under "
        "Connections."
    ),
    "upstream_not_found": _(
        "The provider does not know this model or this address. An administrator must look at both."
    ),
    "upstream_quota": _(
        "The provider has no credit left for this connection. An administrator must see to that."
    ),
    "upstream_region": _(
        "The provider does not serve the country or region that this connection calls from. An "
        "administrator must see to that."
    ),
}


def explain_failure(message: Message) -> tuple[str, str]:
    """What to read, and its language where that is not the reader's. Of older rows only the text is kept, and
    of a server's own words nothing else can be: that one, to whom it is in their language, says most.
    """
    said = read(message.error_words) if message.error_words is not None else None
    if said is not None:
        return said, ""
    is_kept_readable = message.error_language == get_language() or not message.error_message
    if is_kept_readable or message.error_code not in WORDS:
        return message.error_message, "" if is_kept_readable else message.error_language
    return str(WORDS[message.error_code]), ""
