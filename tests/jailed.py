"""What hostile bytes might make a program do. Each function is run in the jail
(tests/foundation/test_jail.py), and does a bounded amount of harm where there is none.
"""

import ctypes
import json
import os
import socket
import time
from pathlib import Path

from foundation.jail.inside import Refused

Files = dict[str, Path]
spoilt: list[str] = []


def echo(files: Files, word: str = "") -> bytes:
    print("a library says something")
    return b"".join(path.read_bytes() for path in files.values()) + word.encode()


def lie(files: Files, **arguments: object) -> bytes:
    return b"this is no document"


def refuse(files: Files, code: str) -> bytes:
    raise Refused(code)


def break_down(files: Files) -> bytes:
    raise ZeroDivisionError


def loop(files: Files) -> bytes:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pass
    return b"done"


def sleep(files: Files) -> bytes:
    time.sleep(20)
    return b"done"


def eat_memory(files: Files) -> bytes:
    held = [bytearray(10_000_000) for _number in range(60)]
    return str(len(held)).encode()


def fork(files: Files) -> bytes:
    """Processes that end at once: ten, where there could be ten thousand."""
    count = 0
    for _number in range(10):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        count += 1
    return str(count).encode()


def spawn(files: Files) -> bytes:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return b"done"


def read(files: Files, path: str) -> bytes:
    return Path(path).read_bytes() or b"empty"


def list_folder(files: Files, path: str) -> bytes:
    return json.dumps([str(found) for found in Path(path).iterdir()]).encode()


def connect(files: Files, port: int) -> bytes:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return b"done"


def resolve(files: Files) -> bytes:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("127.0.0.1", 53))
    return b"done"


def write_file(files: Files, size: int) -> bytes:
    with Path("huge").open("wb") as file:
        for _number in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    return b"done"


def write_files(files: Files, count: int) -> bytes:
    for number in range(count):
        Path(f"small-{number}").touch()
    time.sleep(2)
    return b"done"


def write_elsewhere(files: Files, path: str) -> bytes:
    Path(path).write_text("x")
    return b"done"


def lock_folder(files: Files) -> bytes:
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/file").touch()
    Path("deep/er").chmod(0)
    Path("deep").chmod(0)
    return b"done"


def flood(files: Files, size: int) -> bytes:
    return bytes(size)


def crash(files: Files) -> bytes:
    ctypes.string_at(0)
    return b"done"


def signal_parent(files: Files) -> bytes:
    os.kill(os.getppid(), 0)
    return b"done"


def surroundings(files: Files) -> bytes:
    """The environment, and the descriptors that are open."""
    found = []
    for number in range(3, 64):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return json.dumps([dict(os.environ), found]).encode()


def obey(files: Files, name: str, **arguments: object) -> bytes:
    """One of the others, where several are done by one function."""
    return globals()[name](files, **arguments)


def spoil(files: Files) -> bytes:
    """What somebody does who has the reader in hand, and what is left of it."""
    spoilt.append(os.environ.setdefault("SPOILT", "yes"))
    os.chdir("/")
    return str(len(spoilt)).encode()


def make_thread(files: Files) -> bytes:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        return str(sum(pool.map(abs, [-1, -2]))).encode()
