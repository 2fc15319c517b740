"""Where the embedded servers keep their things below a data directory,
and the short path of their sockets.
"""

import hashlib
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from launcher.account import Account, choose_account, let_through, own_folder
from launcher.errors import ServiceError

# sun_path holds 104 bytes on macOS and 108 on Linux, its closing zero included.
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
LONGEST_SOCKET_NAME = "/.s.PGSQL.5432"
# libpq separates several hosts by commas, and addresses quote what is not
# plain: such paths get the short one.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
MADE_BEFORE_US = {"static"}  # by the settings, where a command runs with other databases
OPEN_TO_OTHERS = 0o066  # to pass through is no harm: that is how PostgreSQL's account reaches its folder
# Nothing of the person's environment: PGPORT and its like would change the servers, and on macOS
# PostgreSQL needs a locale that exists.
SERVER_ENVIRONMENT = {"LC_ALL": "C"}


@dataclass(frozen=True)
class DataFolders:
    """The folders of one data directory. `postgres`, `valkey` and `sockets` belong to the account the servers
    run as.
    """

    data: Path
    postgres: Path
    valkey: Path
    sockets: Path
    account: Account


def prepare_data(data: Path) -> Path:
    """The data directory as an absolute path, made if need be and private. Raises ServiceError when it cannot
    be written.
    """
    data = data.expanduser().absolute()
    try:
        is_new = not data.exists()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_new:
            _close(data)
        probe = data / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise ServiceError(
            f"Cannot write to the data directory {data}: {exc.strerror}. Use another one (make run "
            "DATA=/path) or change its owner."
        ) from exc
    if is_new:
        data.chmod(0o700)
    return data.resolve()


def _close(data: Path) -> None:
    """Keep others out of a folder that was there before, and out of the mails and files in it. Raises
    ServiceError where it is not ours.
    """
    status = data.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & OPEN_TO_OTHERS:
        is_ours = (
            status.st_uid == os.geteuid()
            and not mode & stat.S_ISVTX
            and (_is_used(data) or {path.name for path in data.iterdir()} <= MADE_BEFORE_US)
        )
        if not is_ours:
            reason = f"Others may read {data}, and it holds other things or belongs to somebody else."
            raise ServiceError(
                f"{reason} Use a folder of Atrium's own: make run DATA=/path, or close it: chmod 700."
            )
        data.chmod(0o700)
    # PostgreSQL's account may pass through the data directory
    for folder in (data / name for name in ("mail", "media")):
        if folder.is_dir() and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)


def _is_used(data: Path) -> bool:
    return any((data / name).exists() for name in ("logs", "postgres", "secrets.json"))


def prepare_folders(data: Path) -> DataFolders:
    """Make the servers' folders with the right owners; `data` comes from prepare_data. Safe to call again."""
    account = choose_account(data / "postgres")
    folders = DataFolders(data, data / "postgres", data / "valkey", _socket_folder(data), account)
    let_through(data, account)
    for folder in (folders.postgres, folders.valkey, folders.sockets):
        _refuse_strangers(folder, account)
        own_folder(folder, account)
    return folders


def _socket_folder(data: Path) -> Path:
    """`data/run`, or a folder below /tmp named by a hash where the socket's path would be too long or not
    plain.

    /tmp itself and not tempfile's choice: every later command must find the same folder, whatever its
    environment.
    """
    folder = data / "run"
    is_short = len(os.fsencode(f"{folder}{LONGEST_SOCKET_NAME}")) <= SOCKET_PATH_LIMIT
    if is_short and PLAIN_PATH.fullmatch(str(folder)):
        return folder
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path("/tmp").resolve() / f"atrium-{os.getuid()}-{name}"  # noqa: S108  (_refuse_strangers)


def _refuse_strangers(folder: Path, account: Account) -> None:
    """In a folder that all may write to, someone else may have made ours first and would see the sockets in
    it.
    """
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (account.uid, os.geteuid()):
        raise ServiceError(
            f"{folder} belongs to another user or is no folder. Remove it, or use another data directory: "
            "make run DATA=/path"
        )
