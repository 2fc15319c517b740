"""Each trouble of the proxy, seen by a client of an echo server behind it."""

from __future__ import annotations

import gc
import socket
import socketserver
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.doubles.chaosproxy import ChaosProxy, Trouble, running_chaosproxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except ConnectionError:
            pass


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture(scope="module")
def echo() -> Iterator[tuple[str, int]]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[ChaosProxy]:
    with running_chaosproxy(echo) as proxy:
        yield proxy


def connect(proxy: ChaosProxy, timeout_s: float = 2.0) -> socket.socket:
    return socket.create_connection(proxy.address, timeout=timeout_s)


def read(connection: socket.socket, size: int) -> bytes:
    """Up to `size` bytes, fewer where the connection ends."""
    data = b""
    while len(data) < size and (part := connection.recv(size - len(data))):
        data += part
    return data


def test_without_trouble_all_passes(proxy: ChaosProxy) -> None:
    payload = bytes(range(256)) * 4000
    with connect(proxy) as connection:
        threading.Thread(target=connection.sendall, args=(payload,)).start()
        assert read(connection, len(payload)) == payload
        assert proxy.open_connections == 1


def test_delay(proxy: ChaosProxy) -> None:
    proxy.down = Trouble(delay_s=0.1)
    with connect(proxy) as connection:
        started = time.monotonic()
        connection.sendall(b"x")
        assert read(connection, 1) == b"x"
        assert time.monotonic() - started >= 0.1


def test_drip(proxy: ChaosProxy) -> None:
    proxy.up = Trouble(drip=1, drip_gap_s=0.01)
    with connect(proxy) as connection:
        started = time.monotonic()
        connection.sendall(b"0123456789")
        assert read(connection, 10) == b"0123456789"
        assert time.monotonic() - started >= 0.09


def test_cut_after(proxy: ChaosProxy) -> None:
    proxy.down = Trouble(cut_after=5)
    with connect(proxy) as connection:
        connection.sendall(b"0123456789")
        assert read(connection, 10) == b"01234"


def test_reset_after(proxy: ChaosProxy) -> None:
    proxy.up = Trouble(reset_after=5)
    with connect(proxy) as connection:
        connection.sendall(b"0123456789")
        with pytest.raises(ConnectionResetError):
            read(connection, 10)


def test_garble(proxy: ChaosProxy) -> None:
    proxy.down = Trouble(garble_every=4)
    with connect(proxy) as connection:
        connection.sendall(b"aaaaaaaa")
        assert read(connection, 8) == b"aaa`aaa`"


def test_silence_keeps_the_connection_open_until_healed(proxy: ChaosProxy) -> None:
    proxy.down = Trouble(silent=True)
    with connect(proxy, timeout_s=0.1) as connection:
        connection.sendall(b"late")
        with pytest.raises(TimeoutError):
            connection.recv(4)
        proxy.heal()
        connection.settimeout(2)
        assert read(connection, 4) == b"late"


def test_cut_all_and_refuse(proxy: ChaosProxy) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"x")
        read(connection, 1)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        proxy.cut_all()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    proxy.heal()
    with connect(proxy) as connection:
        connection.sendall(b"y")
        assert read(connection, 1) == b"y"


def test_a_dead_target_resets_the_client(tmp_path: Path) -> None:
    with (
        running_chaosproxy(str(tmp_path / "nobody.sock")) as proxy,
        pytest.raises(ConnectionResetError),
        connect(proxy) as connection,
    ):
        connection.recv(1)


def test_unix_sockets(tmp_path: Path, echo: tuple[str, int]) -> None:
    with (
        running_chaosproxy(echo, listen=str(tmp_path / "p.sock")) as proxy,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.settimeout(2)
        connection.connect(proxy.address)
        connection.sendall(b"through")
        assert read(connection, 7) == b"through"


def test_a_connection_that_comes_while_the_proxy_stops_listening_leaves_no_socket_behind(
    echo: tuple[str, int], tmp_path: Path
) -> None:
    """Whoever is refused tries again at once: some come in the very moment of the refusal."""
    path, ended = str(tmp_path / "proxy.sock"), threading.Event()

    def keep_trying() -> None:
        while not ended.is_set():
            with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
                connection.connect(path)
            time.sleep(0.001)

    gc.collect()  # what others left behind
    with running_chaosproxy(echo, path) as proxy, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        clients = [threading.Thread(target=keep_trying) for _ in range(4)]
        for client in clients:
            client.start()
        for _ in range(100):
            proxy.refuse()
            proxy.heal()
        ended.set()
        for client in clients:
            client.join()
        gc.collect()
    ours = [text for warning in warned if path in (text := str(warning.message)) or "transport" in text]
    assert proxy.accepted and ours == []
