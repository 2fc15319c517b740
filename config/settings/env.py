"""Environment variables: each is read here once, typed, and fails loudly. Secrets can also come from
`NAME_FILE`.

`VARIABLES` is the source of the README's table (a test compares them).
"""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from launcher.values import read_value


@dataclass(frozen=True)
class Variable:
    name: str
    meaning: str
    default: str = ""
    secret: bool = False


VARIABLES = [
    Variable("ATRIUM_ENV", "`production`, `development` or `test`", "development"),
    Variable(
        "DATABASE_URL",
        "PostgreSQL of web, gateway and workers: a login without superuser rights",
        "the embedded one",
        secret=True,
    ),
    Variable(
        "ATRIUM_OWNER_DATABASE_URL",
        "the same database with a login that owns the tables and may create roles; for commands and the "
        "provisioning worker",
        "the embedded one",
        secret=True,
    ),
    Variable(
        "REDIS_URL",
        "Valkey or Redis for limits, streams, cache and the task queue",
        "the embedded one",
        secret=True,
    ),
    Variable(
        "ATRIUM_SECRET_KEY",
        "signs sessions and links; at least 50 random characters",
        "made at the first start",
        secret=True,
    ),
    Variable(
        "ATRIUM_MASTER_KEYS",
        "comma-separated Fernet keys that wrap the tenants' data keys; the first one wraps new ones",
        "made at the first start",
        secret=True,
    ),
    Variable("ATRIUM_DATA", "folder for embedded services, files, mails and logs", "var"),
    Variable(
        "ATRIUM_MEDIA_URL",
        "the folder in which files are kept; all processes of an installation share it",
        "`$ATRIUM_DATA/media`",
    ),
    Variable(
        "ATRIUM_SEAL_FILES",
        "`1`: files that come from now on are kept encrypted, each with a key of its own that the "
        "tenant's data key seals",
        "0",
    ),
    Variable(
        "ATRIUM_PRIVATE_PAGES",
        "comma-separated hosts in private networks whose web pages collections may hold; others there are "
        "never fetched",
    ),
    Variable(
        "ATRIUM_PRIVATE_RAGFLOW",
        "comma-separated hosts of RAGFlow servers in private networks that tenants may name; data that may "
        "not leave the installation's own network goes to these alone",
    ),
    Variable(
        "ATRIUM_STORAGE_PER_PERSON_GB",
        "how much one person's files, and what collections hold of documents that they brought (text and "
        "index), may take together; plans bound the organisation",
        "100",
    ),
    Variable(
        "ATRIUM_COLLECTIONS_PER_PERSON",
        "how many collections of their own one person may have; ten times as many chats with files",
        "200",
    ),
    Variable(
        "ATRIUM_COLLECTIONS_PER_TENANT",
        "how many collections an organisation may have, its people's own included; ten times as many chats "
        "with files",
        "5000",
    ),
    Variable(
        "ATRIUM_ALLOWED_HOSTS",
        "comma-separated hosts whose pages are answered (programs with a key are at any); empty: those of "
        "the platform and of the tenants' domains",
    ),
    Variable(
        "ATRIUM_PLATFORM_HOSTS",
        "comma-separated hosts of the platform itself",
        "localhost,platform.localhost",
    ),
    Variable("ATRIUM_RUNTIME_URL", "base address of the embedded runtime", "set by `up`"),
    Variable(
        "ATRIUM_RUNTIME_TOKEN",
        "what the embedded runtime wants to hear from its callers; for `serve runtime` and `prepare`",
        "made by `up`; without one, whoever reaches it is answered",
        secret=True,
    ),
    Variable("ATRIUM_PORT", "the port that links in mails and on pages carry", "8000; none with TLS"),
    Variable(
        "ATRIUM_EMAIL_URL",
        "`smtp://user:password@host:587`; empty: mails are written to `$ATRIUM_DATA/mail`",
        "",
        secret=True,
    ),
    Variable(
        "ATRIUM_TLS", "`1` behind a TLS edge: secure cookies, HSTS, redirects", "`1` in production, else `0`"
    ),
    Variable(
        "ATRIUM_TRUSTED_PROXIES",
        "comma-separated addresses or networks of the TLS edge: only from there `X-Forwarded-For` says who "
        "the client is",
        "127.0.0.1,::1",
    ),
    Variable(
        "ATRIUM_DRAIN_S",
        "for how many seconds answers under way may go on after SIGTERM, at most 600; whoever kills a web "
        "process waits 10 s longer",
        "20; 7 under `up`",
    ),
    Variable("ATRIUM_LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING` or `ERROR`", "INFO"),
]
_KNOWN = {variable.name for variable in VARIABLES}


def read(name: str, default: str = "") -> str:
    """The variable's text, or what the file in `NAME_FILE` holds."""
    if name not in _KNOWN:
        raise ImproperlyConfigured(f"{name} is read but not listed in config/settings/env.py.")
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return read_value(Path(path))
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or "it is not text"
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {reason}.") from exc
    return os.environ.get(name, default).strip()


def read_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in read(name, default).split(",") if part.strip()]


def read_flag(name: str, default: bool) -> bool:
    text = read(name, "1" if default else "0")
    if text not in ("0", "1"):
        raise ImproperlyConfigured(f"{name} must be 0 or 1, not “{text}”.")
    return text == "1"


def read_count(name: str, *, default: int, most: int) -> int:
    text = read(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise ImproperlyConfigured(f"{name} must be a whole number from 1 to {most}, not “{text}”.")
    return int(text)


def require(name: str, hint: str) -> str:
    value = read(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


ENVIRONMENT = read("ATRIUM_ENV", "development")
if ENVIRONMENT not in ("production", "development", "test"):
    raise ImproperlyConfigured(f"ATRIUM_ENV must be production, development or test, not “{ENVIRONMENT}”.")
IS_PRODUCTION = ENVIRONMENT == "production"
IS_TEST = ENVIRONMENT == "test"
BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = Path(read("ATRIUM_DATA") or BASE_DIR / "var").absolute()


def needs_no_services() -> bool:
    """Whether the running command touches neither database nor broker, so that none is started for it."""
    harmless = {
        "makemigrations",
        "makemessages",
        "compilemessages",
        "check",
        "collectstatic",
        "help",
        "version",
        "spectacular",
    }
    return (
        len(sys.argv) > 1
        and Path(sys.argv[0]).name in ("manage.py", "django-admin")
        and sys.argv[1] in harmless
    )


def random_secret() -> str:
    return secrets.token_urlsafe(48)
