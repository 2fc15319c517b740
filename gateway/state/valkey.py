"""Clients of Valkey (or Redis) for the event loop."""

from django.conf import settings
from redis.asyncio import Redis


def make_redis(socket_timeout_s: float | None = 0.5) -> Redis:
    """A client that answers or fails within half a second; None waits for as long as it takes."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=socket_timeout_s, socket_connect_timeout=0.5, max_connections=1_000
    )
