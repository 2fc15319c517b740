"""Running the embedded servers when we are root: PostgreSQL refuses to, so they run under an account that
exists already.

Covers: the choice of the account, ownership of the servers' folders, and the right to pass through the
folders above them (an access control list for that one account where the file system has them, else the
search bit for all).
Does not cover: making accounts. A machine without `postgres`, `_postgres` or `pgserver` uses `nobody`.
"""

import os
import pwd
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.errors import ServiceError

CANDIDATES = ("postgres", "_postgres", "pgserver", "nobody")
ACL_ATTRIBUTE = "system.posix_acl_access"
ACL_VERSION = struct.pack("<I", 2)
# Entry kinds of linux/posix_acl_xattr.h; entries stand in this order.
OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NO_ID = 0xFFFFFFFF
MAY_SEARCH = 1


@dataclass(frozen=True)
class Account:
    """The user the servers run as."""

    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """What subprocess needs to start a program as this user; nothing when we are that user."""
        return {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose_account(folder: Path) -> Account:
    """Ourselves; as root, the user who owns the servers' folder already, else the first candidate this
    machine knows.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "PostgreSQL refuses to run as root, and this machine has no account for it. Run `useradd --system "
        "postgres`, or start as a normal user."
    )


def own_folder(folder: Path, account: Account) -> None:
    """Make the folder if need be, private to the account."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != account.uid:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


def let_through(folder: Path, account: Account) -> None:
    """Give the account the right to pass through the folder and all folders above it, and nothing
    else. Does nothing unless we are root.
    """
    if os.geteuid() != 0 or account.uid == 0:
        return
    for part in (folder, *folder.parents):
        status = part.stat()
        if not _may_search(status, account):
            try:
                _grant_search(part, status, account)
            except OSError as exc:
                reason = (
                    f"PostgreSQL runs as uid {account.uid}, which may not pass through {part} "
                    f"({exc.strerror})."
                )
                raise ServiceError(f"{reason} Move Atrium elsewhere, or start it as a normal user.") from exc


def _may_search(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _grant_search(folder: Path, status: os.stat_result, account: Account) -> None:
    if hasattr(os, "setxattr"):
        try:
            os.setxattr(folder, ACL_ATTRIBUTE, _acl_with_search(_read_acl(folder, status), account.uid))
            return
        except OSError:
            pass  # a file system without access control lists
    folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def _read_acl(folder: Path, status: os.stat_result) -> dict[tuple[int, int], int]:
    """The folder's list as {(kind, id): permissions}; the one its mode stands for when it has none."""
    try:
        packed = os.getxattr(folder, ACL_ATTRIBUTE)
    except OSError:
        mode = status.st_mode
        return {
            (OWNER, NO_ID): mode >> 6 & 7,
            (OWNING_GROUP, NO_ID): mode >> 3 & 7,
            (OTHERS, NO_ID): mode & 7,
        }
    return {
        (kind, identity): permissions
        for kind, permissions, identity in struct.iter_unpack("<HHI", packed[4:])
    }


def _acl_with_search(entries: dict[tuple[int, int], int], uid: int) -> bytes:
    # it bounds what groups and named users may do
    mask = entries.get((MASK, NO_ID), entries[(OWNING_GROUP, NO_ID)])
    entries = {
        **entries,
        (USER, uid): entries.get((USER, uid), 0) | MAY_SEARCH,
        (MASK, NO_ID): mask | MAY_SEARCH,
    }
    return ACL_VERSION + b"".join(
        struct.pack("<HHI", kind, permissions, identity)
        for (kind, identity), permissions in sorted(entries.items())
    )


def let_read(folder: Path, account: Account) -> None:
    """Open a folder of programs to the account, where a strict umask closed it at installation."""
    if os.geteuid() != 0 or not folder.exists():
        return
    let_through(folder, account)
    if _is_open(folder):
        return
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | 0o044 | (0o011 if path.is_dir() or mode & stat.S_IXUSR else 0))


def _is_open(folder: Path) -> bool:
    """Whether everyone may read it; the installer gives all files of a package the same rights, so a look at
    the first levels tells.
    """
    return all(
        path.stat().st_mode & stat.S_IROTH
        for path in (folder, *folder.iterdir(), *(folder / "bin").glob("postgres"))
    )
