"""Which walls the jail has on this machine, tried from inside."""

import json
import socket
import tempfile
from dataclasses import dataclass

from foundation.errors import AtriumError
from foundation.jail.run import bubblewrap, run_jailed


@dataclass(frozen=True)
class JailState:
    """`is_working`: whether it starts at all; `open`: what a jailed process can do all the same, of files,
    network, processes.
    """

    is_working: bool
    has_bubblewrap: bool
    open: tuple[str, ...]


def describe_jail() -> JailState:
    """Starts a jailed process that tries to read a file of ours and to reach a port of ours."""
    with tempfile.NamedTemporaryFile() as secret, socket.create_server(("127.0.0.1", 0)) as server:
        tries = {"secret": secret.name, "port": server.getsockname()[1]}
        try:
            answer = run_jailed("foundation.jail.inside:probe", arguments=tries)
        except AtriumError:
            return JailState(False, bool(bubblewrap()), ())
    return JailState(True, bool(bubblewrap()), tuple(json.loads(answer)))
