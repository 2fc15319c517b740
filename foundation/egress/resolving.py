"""Resolve once, check every address, connect to a checked one: what a name means is decided here and nowhere
later.

Guards against: names that resolve to private addresses, that change between check and connect (rebinding),
and that mix good with bad addresses.
"""

import socket
from collections.abc import Callable, Iterable

from foundation.egress.errors import EgressRefused, not_found
from foundation.egress.networks import Reach, classify
from foundation.egress.policy import EgressPolicy
from foundation.egress.urls import check_host, check_reach, names_loopback
from foundation.errors import InvalidInput, UpstreamError
from foundation.told import gettext as _

Resolve = Callable[[str, int], list[str]]  # host, port → addresses; raises OSError


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def refuse_unless_permitted(host: str, port: int, policy: EgressPolicy) -> None:
    """`check_host` for the moment of connecting: raises EgressRefused."""
    try:
        check_host(host, port, policy)
    except InvalidInput as exc:
        raise EgressRefused(exc.message) from exc


def check_resolved(host: str, addresses: Iterable[str], policy: EgressPolicy) -> list[str]:
    """All the addresses, each once, if the policy permits every one; raises EgressRefused if it forbids a
    single one.

    A loopback address is permitted only where the URL itself names this machine: a name that leads here is
    rebinding.
    """
    checked = list(dict.fromkeys(addresses))
    for address in checked:
        reach = classify(address)
        if reach is Reach.LOOPBACK and not names_loopback(host):
            reach = Reach.FORBIDDEN
        try:
            check_reach(host, reach, policy)
        except InvalidInput as exc:
            raise EgressRefused(exc.message) from exc
    if not checked:
        raise UpstreamError(_("The host “%(host)s” has no address.") % {"host": host}, code="host_not_found")
    return checked


def resolve_checked(host: str, port: int, policy: EgressPolicy, resolve: Resolve = look_up) -> list[str]:
    """The addresses to connect to. Raises EgressRefused, or UpstreamError if the name is unknown. Blocks."""
    refuse_unless_permitted(host, port, policy)
    try:
        classify(host)
    except ValueError:
        pass
    else:
        return [host]
    try:
        addresses = resolve(host, port)
    except OSError as exc:
        raise not_found(host) from exc
    return check_resolved(host, addresses, policy)


def check_peer(host: str, peer: str, policy: EgressPolicy) -> None:
    """The last look, at the address that answered. Raises EgressRefused."""
    check_resolved(host, [peer], policy)
