"""Looks after endpoints that are closed: asks for their catalogue of models, or whatever else of theirs costs
nothing and tells more, and lets the next call try as soon as one answers, before its pause is over.

An answer proves that the server is there, not that it can do its work. So no circuit is closed by it: one
call tries, as after any pause, and if that fails the pause begins anew. A probe that fails changes nothing,
and who rests since calls waited in vain is not asked: what hangs lists its models still.

Bounded: AT_ONCE at a time, each for TIMEOUT_S, with pauses that grow until a call was answered; outside of
any call; with the endpoint's own key, under its own egress policy, without following a redirect.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from foundation.errors import AtriumError
from gateway.state.breaker import Breaker
from models_registry.routes import Endpoint

logger = logging.getLogger(__name__)

EVERY_S = 1.0  # how often is looked whether a probe is due
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0  # between two probes of one endpoint; each is twice the one before
TIMEOUT_S = 5.0
AT_ONCE = 8
Jitter = Callable[[float, float], float]


@dataclass(slots=True)
class _Turn:
    """When an endpoint is asked next."""

    due_s: float
    pause_s: float = FIRST_PAUSE_S


class Probes:
    """Those of one process."""

    def __init__(
        self,
        breaker: Breaker,
        client_for: Callable[[Endpoint], aiohttp.ClientSession],
        clock: Callable[[], float] = time.monotonic,
        jitter: Jitter = random.uniform,
    ) -> None:
        self._breaker = breaker
        self._client_for = client_for
        self._clock = clock
        self._jitter = jitter
        self._turns: dict[Endpoint, _Turn] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S * self._jitter(0.5, 1.5))
            try:
                await self.look()
            except Exception:
                logger.exception("endpoints that are left alone could not be asked")

    async def look(self) -> None:
        """Ask those whose turn it is. Who has let one call try and failed it goes on with longer pauses."""
        ill = self._breaker.list_ill()
        now_s = self._clock()
        self._turns = {
            endpoint: self._turns.get(endpoint) or _Turn(now_s + FIRST_PAUSE_S * self._jitter(0.5, 1.5))
            for endpoint in ill
        }
        due = [endpoint for endpoint, turn in self._turns.items() if ill[endpoint] and turn.due_s <= now_s][
            :AT_ONCE
        ]
        for endpoint in due:
            turn = self._turns[endpoint]
            turn.pause_s = min(2 * turn.pause_s, LAST_PAUSE_S)
            turn.due_s = now_s + turn.pause_s * self._jitter(0.5, 1.5)
        for endpoint, is_there in zip(due, await asyncio.gather(*map(self._ask, due)), strict=True):
            if is_there:
                self._breaker.let_try(endpoint)

    async def _ask(self, endpoint: Endpoint) -> bool:
        """Whether the server answers, and does not say itself that it is ill."""
        provider = endpoint.provider
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client_for(endpoint).get(
                    provider.health_url(endpoint.base_url),
                    headers=provider.catalogue_headers(endpoint.secret),
                    allow_redirects=False,
                ) as response,
            ):
                return response.status < 500
        except (AtriumError, aiohttp.ClientError, OSError, TimeoutError):
            return False
