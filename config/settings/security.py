"""Keys, cookies, hosts and transport."""

from hashlib import sha256
from ipaddress import ip_network

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from config.settings import env

_hint = "`make run` makes one below ATRIUM_DATA; in production set it yourself."
if env.IS_PRODUCTION:
    SECRET_KEY = env.require("ATRIUM_SECRET_KEY", _hint)
    MASTER_KEYS = env.read_list("ATRIUM_MASTER_KEYS") or [env.require("ATRIUM_MASTER_KEYS", _hint)]
    if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 10 or SECRET_KEY.startswith("django-insecure-"):
        hint = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        raise ImproperlyConfigured(f"ATRIUM_SECRET_KEY must have at least 50 random characters. {hint}")
else:
    _kept = {}
    if not env.needs_no_services() and not (env.read("ATRIUM_SECRET_KEY") and env.read("ATRIUM_MASTER_KEYS")):
        from launcher.embedded import load_secrets

        _kept = load_secrets(env.DATA_DIR)
    SECRET_KEY = env.read("ATRIUM_SECRET_KEY") or _kept.get("secret_key") or env.random_secret()
    MASTER_KEYS = env.read_list("ATRIUM_MASTER_KEYS") or (
        _kept["master_keys"].split(",") if _kept else [Fernet.generate_key().decode()]
    )

for _number, _key in enumerate(MASTER_KEYS, 1):
    try:
        Fernet(_key)
    except ValueError as exc:
        hint = (
            "Make one with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'"
        )
        raise ImproperlyConfigured(
            f"ATRIUM_MASTER_KEYS: number {_number} of {len(MASTER_KEYS)} is no Fernet key. {hint}"
        ) from exc

# Browsers keep one cookie of a name for all ports of a host: two installations on one machine would end each
# other's sessions. The secret key stays over restarts, and where it changes no session is good any more.
INSTANCE = sha256(f"cookies of {SECRET_KEY}".encode()).hexdigest()[:8]

PLATFORM_HOSTS = env.read_list("ATRIUM_PLATFORM_HOSTS", "localhost,platform.localhost")
# Every host is checked against the tenants' domains by tenants.doors.middleware; an
# unknown one gets a 404 that says so.
ALLOWED_HOSTS = env.read_list("ATRIUM_ALLOWED_HOSTS") or ["*"]
DEMO_HOST_SUFFIX = ".localhost"

USES_TLS = env.read_flag("ATRIUM_TLS", env.IS_PRODUCTION)
PORT = env.read("ATRIUM_PORT") or ("" if USES_TLS else "8000")
TRUSTED_PROXIES = env.read_list("ATRIUM_TRUSTED_PROXIES", "127.0.0.1,::1")
for _proxy in TRUSTED_PROXIES:
    try:
        ip_network(_proxy)
    except ValueError as exc:
        raise ImproperlyConfigured(
            f"ATRIUM_TRUSTED_PROXIES must list addresses or networks such as 10.0.0.0/24: {exc}."
        ) from exc
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = USES_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if USES_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if USES_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = USES_TLS  # all headers: foundation.header_policies
SECURE_REDIRECT_EXEMPT = [r"^healthz/"]
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_NAME = f"atrium_session_{INSTANCE}"
EARLIER_SESSION_COOKIE_NAME = "atrium_session"  # of the first release: read until its sessions have ended
# Renewed by each log-out: what a browser's tabs kept before is nobody's any more (foundation.drafts).
LEFT_COOKIE_NAME = f"atrium_left_{INSTANCE}"
LEFT_COOKIE_AGE = 365 * 24 * 3600
SESSION_COOKIE_AGE = 14 * 24 * 3600
ANONYMOUS_SESSION_AGE = 3600  # of those who are not logged in: as long as a log-in form may stay open
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_USE_SESSIONS = True  # the token lives in the tenant's session, so none of another tenant is accepted
CSRF_COOKIE_NAME = f"atrium_csrf_{INSTANCE}"
MESSAGE_STORAGE = "config.message_storage.MessageStorage"
SIGNED_COOKIE_LEGACY_SALT_FALLBACK = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000  # of any body: config.intake refuses more while it comes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000
