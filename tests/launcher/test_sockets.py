"""Both loopback addresses are listened on, where the machine has both."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from launcher import sockets
from tests.live import ROOT, wait_until_ready


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@contextlib.contextmanager
def listening(host: str, port: int = 0):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(one) for one in sockets.listen(host, port)]


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0"])
def test_both_loopback_addresses_are_listened_on_at_one_port(host):
    with listening(host) as found:
        assert len({one.getsockname()[1] for one in found}) == 1
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, found[0].getsockname()[1]), timeout=5).close()


def test_another_address_is_listened_on_alone():
    with listening("127.0.0.2") as found:
        assert [one.getsockname()[0] for one in found] == ["127.0.0.2"]


@pytest.mark.parametrize("absent", ["2001:db8::1", "192.0.2.1"])
def test_an_address_that_the_machine_lacks_is_no_error(monkeypatch, absent):
    monkeypatch.setitem(sockets.ALSO, "127.0.0.1", absent)
    with listening("127.0.0.1") as found:
        assert [one.getsockname()[0] for one in found] == ["127.0.0.1"]


@needs_ipv6
def test_a_port_that_somebody_else_has_on_one_address_is_in_use():
    """Their clients would come to us, and ours to them."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            sockets.listen("127.0.0.1", port)
        socket.create_server(("127.0.0.1", port)).close()  # nothing stays behind


@needs_ipv6
@pytest.mark.scope(None)
def test_the_web_process_answers_at_both(django_db_setup):
    with listening("127.0.0.1") as found:
        port = found[0].getsockname()[1]
    command = [sys.executable, "manage.py", "serve", "web", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ}, start_new_session=True)
    try:
        wait_until_ready(process, port)
        for host in ("127.0.0.1", "[::1]", "localhost"):
            assert httpx.get(f"http://{host}:{port}/healthz/live").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
