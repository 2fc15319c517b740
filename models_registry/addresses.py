"""Base addresses of connections: one form, and what they may reach."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from foundation.egress import EgressPolicy, Target, check_url, parse_url
from foundation.errors import InvalidInput
from foundation.told import gettext as _

# what people copy along with a base address: below it clients write these themselves
ROUTES = re.compile(r"(?:/chat/completions|/completions|/embeddings|/responses|/messages|(?<=.)/models)\Z")


@contextmanager
def _as_base_url() -> Iterator[None]:
    """Name the field in the errors of reading an address."""
    try:
        yield
    except InvalidInput as exc:
        exc.param = "base_url"
        raise


def read_base_url(text: str, *, allow_private: bool, usual_path: str = "/v1") -> Target:
    """A base address in its one form: no slash at its end and no route, the usual path where none was given.
    Raises InvalidInput (param `base_url`).
    """
    with _as_base_url():
        target = check_url(text.strip(), EgressPolicy(allow_private=allow_private))
        if "?" in target.path:
            raise InvalidInput(_("The base address must not hold a “?” part."))
        if settings.ATRIUM_ENV == "production" and target.scheme != "https" and not allow_private:
            raise InvalidInput(
                _("In production, providers are reached with https only."), code="https_required"
            )
    path = ROUTES.sub("", target.path.rstrip("/")).rstrip("/") or usual_path
    return Target(target.scheme, target.host, target.port, path, target.address)


def origin_of(text: str) -> tuple[str, str, int]:
    """Scheme, host and port: whom a key would be sent to. Raises InvalidInput."""
    with _as_base_url():
        return parse_url(text.strip()).origin


def names_private_address(text: str) -> bool:
    """Whether the address itself says that it leads to this machine or a private network. Raises
    InvalidInput.
    """
    with _as_base_url():
        return parse_url(text.strip()).names_private


def may_be_local(base_url: str, *, allow_private: bool) -> bool:
    """Whether an organisation's connection may count as one into this installation's own network, where
    policies let data go that may go nowhere else: the operator let it reach private networks, and its address
    is no public one. A name is believed: the operator knew it. Raises InvalidInput.
    """
    with _as_base_url():
        target = parse_url(base_url.strip())
    return allow_private and (target.address is None or target.names_private)


def pinned_policy(base_url: str, *, allow_private: bool) -> EgressPolicy:
    """What a call to this connection may reach: its own host and port, nothing else."""
    target = read_base_url(base_url, allow_private=allow_private)
    return EgressPolicy(
        allow_private=allow_private,
        allowed_hosts=frozenset({target.host}),
        allowed_ports=frozenset({target.port}),
        schemes=frozenset({target.scheme}),
        timeout_connect_s=5.0,
        timeout_read_s=10.0,
        timeout_total_s=20.0,
        max_bytes=5_000_000,
    )
