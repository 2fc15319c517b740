"""A faulty network between two programs: a TCP or Unix-socket proxy whose directions can be slowed, cut,
garbled or silenced while it runs.

    with running_chaosproxy(("127.0.0.1", 5432)) as proxy:  # or a Unix socket's path
        connect(*proxy.address)               # (host, port), or a path when `listen` names one
        proxy.down = Trouble(delay_s=0.2)     # server → client, new and open connections
        proxy.up = Trouble(reset_after=1000)  # client → server, counted per connection and direction
        proxy.cut_all()                       # RST on every open connection
        proxy.refuse()                        # nobody listens, until heal()
        proxy.heal()

Covers: delay, drip, FIN and RST after n bytes, flipped bits, silence with open sockets (half-open), refused
connections.
Does not cover: packet loss and reordering (below TCP), bandwidth shared between connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Address = tuple[str, int] | str
BLOCK = 65536
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to one direction. All zero: nothing."""

    delay_s: float = 0.0  # before each block
    drip: int = 0  # bytes per step
    drip_gap_s: float = 0.005  # between steps
    cut_after: int = 0  # bytes, then FIN on both sides
    reset_after: int = 0  # bytes, then RST on both sides
    garble_every: int = 0  # one bit of every nth byte is flipped
    silent: bool = False  # nothing passes, the sockets stay open


class ChaosProxy:
    """The proxy, its loop in a thread of its own; attributes may be set from any thread."""

    def __init__(self, target: Address, listen: str | None = None) -> None:
        self.target = target
        self.address: Address = listen or ("127.0.0.1", 0)
        self.up = Trouble()
        self.down = Trouble()
        self.accepted = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()

    # -- for tests, from any thread --------------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        """Client connections that are open now."""
        return len(self._writers) // 2

    def cut_all(self) -> None:
        """Reset every open connection."""
        self._loop.call_soon_threadsafe(lambda: [reset(writer) for writer in list(self._writers)])

    def refuse(self) -> None:
        """Stop listening; open connections go on."""
        asyncio.run_coroutine_threadsafe(self._unlisten(), self._loop).result(5)

    def heal(self) -> None:
        """No trouble in either direction, and listening again at the same address."""
        self.up = self.down = Trouble()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    # -- the loop's side -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        if self._listener is not None:
            return
        if isinstance(self.address, str):
            Path(self.address).unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self.address)
            self._listener.listen()
        else:
            self._listener = socket.create_server(self.address)
            self.address = self._listener.getsockname()[:2]
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection in one step: Python 3.11's own server loses one that it accepted
        before, and sees after, its close().
        """
        with suppress(BlockingIOError):
            connection, _address = listener.accept()
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        self.accepted += 1
        client_in, client_out = await asyncio.open_connection(sock=connection)
        try:
            if isinstance(self.target, str):
                server_in, server_out = await asyncio.open_unix_connection(self.target)
            else:
                server_in, server_out = await asyncio.open_connection(*self.target)
        except BaseException as exc:
            reset(client_out)
            if not isinstance(exc, OSError):
                raise
            return
        await self._pass_on(client_in, client_out, server_in, server_out)

    async def _pass_on(
        self,
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        server_in: asyncio.StreamReader,
        server_out: asyncio.StreamWriter,
    ) -> None:
        pair = {client_out, server_out}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(client_in, server_out, client_out, "up"))
                group.create_task(self._pump(server_in, client_out, server_out, "down"))
        finally:
            self._writers -= pair
            for writer in pair:
                writer.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        direction: str,
    ) -> None:
        """Pass one direction on, under its trouble of the moment. `back` is the writer to the sender, for
        cuts.
        """
        passed = 0
        with suppress(ConnectionError):
            while data := await source.read(BLOCK):
                while (trouble := getattr(self, direction)).silent:
                    await asyncio.sleep(POLL_S)
                await asyncio.sleep(trouble.delay_s)
                limit = trouble.cut_after or trouble.reset_after
                if limit:
                    data = data[: max(0, limit - passed)]
                await self._write(sink, garbled(data, trouble.garble_every, passed), trouble)
                passed += len(data)
                if limit and passed >= limit:
                    end = reset if trouble.reset_after else asyncio.StreamWriter.close
                    end(sink)
                    end(back)
                    return
        with suppress(OSError, RuntimeError):  # the other direction may have closed it
            sink.write_eof()

    @staticmethod
    async def _write(sink: asyncio.StreamWriter, data: bytes, trouble: Trouble) -> None:
        step = trouble.drip or len(data) or 1
        for position in range(0, len(data), step):
            sink.write(data[position : position + step])
            await sink.drain()
            if trouble.drip:
                await asyncio.sleep(trouble.drip_gap_s)

    async def _stop(self) -> None:
        await self._unlisten()
        await asyncio.sleep(0)  # what was accepted a moment ago has its writer
        for writer in list(self._writers):
            reset(writer)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def run(self, ready: threading.Event) -> None:
        """The thread's body."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    def stop(self) -> None:
        """End the loop, and with it every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST (a Unix socket knows only its close)."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def garbled(data: bytes, every: int, passed: int) -> bytes:
    """The data with a bit of every nth byte of the connection flipped."""
    if not every:
        return data
    return bytes(byte ^ 1 if (passed + i) % every == every - 1 else byte for i, byte in enumerate(data))


@contextmanager
def running_chaosproxy(target: Address, listen: str | None = None) -> Iterator[ChaosProxy]:
    """A proxy in front of `target` for the length of the block, healed at the start."""
    proxy = ChaosProxy(target, listen)
    ready = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready,), name="chaosproxy", daemon=True)
    thread.start()
    if not ready.wait(5):
        raise RuntimeError("the proxy did not start")
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(5)
