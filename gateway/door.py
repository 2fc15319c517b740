"""Who comes in at `/v1`: the host and the key of a request, before anything of it is read.

Guards against: keys of one tenant on another's host, a cookie doing a key's work, a second header
contradicting the first.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.keys import read_key
from foundation.errors import Unavailable
from foundation.ids import uuid7
from gateway.calls import Principal
from gateway.errors import InvalidKey
from gateway.http import AsgiScope, find_header
from gateway.state.snapshot import Snapshots, TenantSnapshot
from gateway.steps.authenticate import authenticate
from gateway.trace import Trace, continue_trace
from tenants.context import in_platform
from tenants.doors import hosts

VERSION = (b"openai-version", b"2020-10-01")


@dataclass(slots=True)
class Visit:
    """One request, and what every answer to it says of it."""

    begun_s: float
    request_id: UUID
    trace: Trace | None
    tells_time: bool = True  # refusals of a key all look alike

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of an answer that leaves now."""
        headers = [(b"x-request-id", f"req_{self.request_id.hex}".encode()), VERSION]
        if self.tells_time:
            took_ms = (asyncio.get_running_loop().time() - self.begun_s) * 1000
            headers.append((b"openai-processing-ms", b"%d" % max(1, round(took_ms))))
        if self.trace:
            headers.append((b"traceparent", self.trace.header.encode()))
        return headers


def begin_visit(scope: AsgiScope) -> Visit:
    return Visit(
        begun_s=asyncio.get_running_loop().time(),
        request_id=uuid7(),
        trace=continue_trace(find_header(scope, b"traceparent")),
    )


async def enter(scope: AsgiScope, snapshots: Snapshots) -> tuple[Principal, TenantSnapshot]:
    """Who calls, by host and key. Raises what `authenticate` raises."""
    host_tenant = await find_tenant_of_host(scope)
    key = read_key(scope["headers"])
    if key is None:
        raise InvalidKey
    return await authenticate(key, snapshots, host_tenant=host_tenant)


async def find_tenant_of_host(scope: AsgiScope) -> str | None:
    """The tenant whose host was called: there only its own keys work. None at the platform's hosts and at any
    that we do not know (a LAN's address, a container's name): there the key says whose it is.
    """
    name = hosts.name_of(find_header(scope, b"host").decode("latin-1"))
    if hosts.is_platform_host(name):
        return None
    is_known, door = hosts.recall(f"host:{name}")
    if not is_known:
        from django.db import OperationalError

        try:
            door = await in_platform(hosts.find_tenant_by_host, name)
        except OperationalError as exc:
            raise Unavailable(
                _("The database does not answer. Try again in a moment."), retry_after_s=2
            ) from exc
    return door.slug if door is not None else None
