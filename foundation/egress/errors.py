"""What can go wrong on the way out, in words a person understands."""

from foundation.errors import UpstreamError
from foundation.told import gettext as _

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class EgressRefused(UpstreamError):
    """The policy forbids the address behind this host."""

    code = "egress_refused"


def not_found(host: str) -> UpstreamError:
    return UpstreamError(
        _("The host “%(host)s” is unknown: the name does not resolve.") % {"host": host},
        code="host_not_found",
    )


def redirected(status: int) -> UpstreamError:
    message = _("The provider redirects to another address (HTTP %(status)d). Enter the final address.")
    return UpstreamError(message % {"status": status}, code="redirected")


def too_long(max_bytes: int) -> UpstreamError:
    return UpstreamError(
        _("The provider's answer is longer than %(limit)d bytes.") % {"limit": max_bytes},
        code="answer_too_long",
    )
