"""The gateway's loop: one per process, owner of the HTTP clients, the snapshots, the limiter, the
ledger's lanes and the answers in work.

Under a server the ASGI lifespan starts it on the server's loop. Other processes (Celery, commands) get a loop
thread of their own, started lazily after the fork: `submit_to_loop(coroutine function)`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, TypeVar

import aiohttp
from django.conf import settings

from accounts.services import record_key_use
from foundation import draining, egress
from foundation.endings import at_end
from foundation.ids import uuid7
from gateway.calls import Call, Principal
from gateway.listener import Listener
from gateway.probes import Probes
from gateway.rights import may_still_call
from gateway.state.breaker import Breaker
from gateway.state.in_flight import OF_ALL, InFlight
from gateway.state.limits import Limiter
from gateway.state.load import Load
from gateway.state.quirks import Quirks
from gateway.state.snapshot import Snapshots
from gateway.state.valkey import make_redis
from models_registry.routes import Endpoint
from tenants.context import in_tenant
from usage.ledger.heartbeat import Heartbeat
from usage.ledger.ledger import Ledger

logger = logging.getLogger(__name__)

T = TypeVar("T")
KEY_USE_EVERY_S = 30.0
CHECK_EVERY_S = 1.0
START_S = 15.0  # at most, for whoever waits for it
STOP_S = 12.0  # at most, beside what is drained: bookings, connections


class GatewayLoop:
    """See the module. `start` and `stop` run on the loop that serves."""

    def __init__(self, kind: str = "web") -> None:
        self.process_id = uuid7()
        self.kind = kind
        self.snapshots = Snapshots()
        self.redis = make_redis()
        self.blocking_redis = make_redis(socket_timeout_s=None)  # for those who wait for something to come
        self.limiter = Limiter(self.redis)
        self.in_flight = InFlight()
        self.breaker = Breaker()
        self.load = Load()
        self.quirks = Quirks()
        self.ledger = Ledger(settings.DATABASE_DSN, settings.DATABASES["default"]["NAME"], self.process_id)
        self._heartbeat = Heartbeat(self.process_id, kind)
        self._listener = Listener(settings.DATABASE_DSN, self.snapshots.drop, self.snapshots.drop_all)
        self.snapshots.is_proven = self._listener.is_proven
        self._clients: dict[egress.EgressPolicy, aiohttp.ClientSession] = {}
        self._key_uses: dict[str, dict[str, datetime]] = {}
        self._tasks: set[asyncio.Task] = set()
        self._housekeeping: asyncio.Task | None = None
        self._probing: asyncio.Task | None = None

    async def start(self) -> None:
        await self._heartbeat.start()
        await self.ledger.start()
        self._listener.start()
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        probes = Probes(self.breaker, self.client_for)
        self._probing = asyncio.create_task(probes.run(), name="probes")

    async def stop(self) -> None:
        """Finish what is running, then let go. Bills are settled: the lanes drain last."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=draining.left_s())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for keeper in (self._housekeeping, self._probing):
            if keeper:
                keeper.cancel()
        await self._flush_key_uses()
        await self._listener.stop()
        await self.limiter.close()
        for client in self._clients.values():
            await client.close()
        await self.ledger.stop()
        await self._heartbeat.stop()
        await self.redis.aclose()
        await self.blocking_redis.aclose()

    def client_for(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        """The HTTP client whose egress policy fits the endpoint: private addresses only where the platform
        allows them.
        """
        client = self._clients.get(endpoint.policy)
        if client is None:
            # no bound of its own: one tenant's calls to a slow server would take it from everybody
            client = self._clients[endpoint.policy] = egress.open_session(endpoint.policy, limit=OF_ALL)
        return client

    async def may_still_call(self, call: Call) -> bool:
        return await may_still_call(call, self.snapshots)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task:
        """Run something that outlives its request, owned by this loop."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def note_key_use(self, principal: Principal) -> None:
        if principal.key_name:
            self._key_uses.setdefault(principal.tenant, {})[principal.key_name] = datetime.now(UTC)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(KEY_USE_EVERY_S)
            await self._flush_key_uses()
            self.limiter.processes = self._heartbeat.live_processes

    async def _flush_key_uses(self) -> None:
        uses = self._key_uses
        self._key_uses = {}
        for slug, last_used in uses.items():
            try:
                await in_tenant(slug, record_key_use, last_used)
            except Exception:
                logger.warning("could not record when keys of %s were used", slug, exc_info=True)


_gateway: GatewayLoop | None = None
_loop: asyncio.AbstractEventLoop | None = None
_lock = threading.Lock()


async def start_loop(kind: str = "web") -> GatewayLoop:
    """Make this process's gateway loop and start it on the event loop that runs."""
    global _gateway, _loop
    gateway = GatewayLoop(kind)
    await gateway.start()
    _gateway, _loop = gateway, asyncio.get_running_loop()
    return gateway


async def stop_loop() -> None:
    global _gateway, _loop
    gateway, _gateway, _loop = _gateway, None, None
    if gateway is not None:
        await gateway.stop()


def get_loop() -> GatewayLoop:
    """This process's loop. Raises RuntimeError before it was started."""
    if _gateway is None:
        raise RuntimeError("The gateway's loop is not started: the ASGI lifespan or ensure_loop does that.")
    return _gateway


def ensure_loop(kind: str = "worker") -> GatewayLoop:
    """This process's loop, started on a thread of its own where no server has started one."""
    if _gateway is None:
        with _lock:
            if _gateway is None:
                _start_thread(kind)
    return get_loop()


def submit_to_loop(work: Callable[[GatewayLoop], Coroutine[Any, Any, None]], name: str) -> None:
    """From sync code: let it carry out `work(gateway)` as a task of its own, without waiting for it."""
    gateway = ensure_loop()
    _running_loop().call_soon_threadsafe(lambda: gateway.spawn(work(gateway), name))


def start_on_loop(work: Callable[[GatewayLoop], Coroutine[Any, Any, T]]) -> Future[T]:
    """From sync code: let it carry out `work(gateway)`; cancelling what this gives cancels that."""
    gateway = ensure_loop()
    return asyncio.run_coroutine_threadsafe(work(gateway), _running_loop())


def wait_on_loop(future: Future[T], check: Callable[[], object] = lambda: None) -> T:
    """What became of it. `check` is asked every second meanwhile; what that raises ends the work."""
    while True:
        try:
            return future.result(timeout=CHECK_EVERY_S)
        except TimeoutError:
            if future.done():
                raise  # its own
        try:
            check()
        except BaseException:
            future.cancel()
            raise


def _running_loop() -> asyncio.AbstractEventLoop:
    if _loop is None:
        raise RuntimeError("The gateway's loop has stopped.")
    return _loop


def _start_thread(kind: str) -> None:
    started: Future[None] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(_live(kind, started)), name="gateway-loop", daemon=True
    )
    thread.start()
    started.result(timeout=START_S)


async def _live(kind: str, started: Future[None]) -> None:
    """The whole life of a loop of its own, up to this process's end. `started` hears of its start."""
    loop, thread, is_over = asyncio.get_running_loop(), threading.current_thread(), asyncio.Event()

    def end() -> None:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(draining.left_s() + STOP_S)

    try:
        await start_loop(kind)
    except Exception as exc:
        started.set_exception(exc)
        return
    at_end(end)
    started.set_result(None)
    await is_over.wait()
    await stop_loop()
