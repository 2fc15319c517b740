"""The two log-ins to one database: `default` (web, gateway, workers) and `owner` (commands, provisioning)."""

from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.settings import env

database_url = env.read("DATABASE_URL")
owner_database_url = env.read("ATRIUM_OWNER_DATABASE_URL")
REDIS_URL = env.read("REDIS_URL")
if not (database_url and REDIS_URL) and not env.needs_no_services():
    if env.IS_PRODUCTION:
        raise ImproperlyConfigured(
            "DATABASE_URL and REDIS_URL must be set in production. The README's table tells their form."
        )
    from launcher.embedded import services_for_command

    _services = services_for_command(env.DATA_DIR)
    database_url = database_url or _services.database_url
    owner_database_url = owner_database_url or _services.owner_database_url
    REDIS_URL = REDIS_URL or _services.redis_url

# Bounds of every session: a forgotten transaction or a long lock must not hold the house up.
SESSION_OPTIONS = (
    "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
)


def parse_database_url(url: str) -> dict:
    """Django's dictionary for a libpq address such as
    `postgresql://user:pw@host:5432/name?sslmode=verify-full` or `…@/name?host=/socket/dir`.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or len(parts.path) < 2:
        raise ImproperlyConfigured(
            "A database address has the form postgresql://user:password@host:5432/name."
        )
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "tenants.pgbackend",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or query.pop("port", "") or ""),
        "OPTIONS": query,
        "CONN_MAX_AGE": 0,
    }


_placeholder = "postgresql://nobody@localhost:1/none"
DATABASES = {"default": parse_database_url(database_url or _placeholder)}
DATABASES["default"]["OPTIONS"] |= {"options": SESSION_OPTIONS}
# config.intake counts on its size
DATABASE_POOL = {"min_size": 1, "max_size": 20, "max_lifetime": 300, "max_idle": 60, "timeout": 5}
if not env.IS_TEST:
    DATABASES["default"]["OPTIONS"]["pool"] = DATABASE_POOL
# Without the owner's address the alias exists but cannot connect: web processes hold no such login.
DATABASES["owner"] = parse_database_url(owner_database_url or _placeholder)
HAS_OWNER_LOGIN = bool(owner_database_url)
DATABASE_DSN = database_url  # for the ledger's own connections

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL or "redis://localhost:1",
        "KEY_FUNCTION": "tenants.cache.make_key",
        "KEY_PREFIX": "cache",
        "TIMEOUT": 300,
    }
}
