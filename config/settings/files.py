"""Static files, uploads and mail."""

from urllib.parse import unquote, urlsplit

from config.settings import env

STATIC_URL = "/static/"
STATIC_ROOT = env.DATA_DIR / "static"
if not env.needs_no_services():
    env.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns about a folder that is not there
STATICFILES_DIRS = [env.BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not env.IS_PRODUCTION
WHITENOISE_AUTOREFRESH = False
MEDIA_ROOT = env.read("ATRIUM_MEDIA_URL") or str(env.DATA_DIR / "media")
SEALS_FILES = env.read_flag("ATRIUM_SEAL_FILES", False)
PRIVATE_PAGES = frozenset(host.lower() for host in env.read_list("ATRIUM_PRIVATE_PAGES"))
PRIVATE_RAGFLOW = frozenset(host.lower() for host in env.read_list("ATRIUM_PRIVATE_RAGFLOW"))
STORAGE_PER_PERSON_BYTES = 10**9 * env.read_count("ATRIUM_STORAGE_PER_PERSON_GB", default=100, most=1_000_000)
COLLECTIONS_PER_PERSON = env.read_count("ATRIUM_COLLECTIONS_PER_PERSON", default=200, most=1_000_000)
COLLECTIONS_PER_TENANT = env.read_count("ATRIUM_COLLECTIONS_PER_TENANT", default=5_000, most=10_000_000)
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
STORAGES = {
    "default": {"BACKEND": "tenants.storage.TenantStorage"},
    "staticfiles": {
        "BACKEND": "config.static_storage.StaticStorage"
        if env.IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

_mail = urlsplit(env.read("ATRIUM_EMAIL_URL"))
MAILS_GO_TO_FOLDER = not _mail.scheme
if MAILS_GO_TO_FOLDER:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = env.DATA_DIR / "mail"
else:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _mail.hostname, _mail.port or 587
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
    EMAIL_USE_TLS, EMAIL_USE_SSL, EMAIL_TIMEOUT = EMAIL_PORT == 587, EMAIL_PORT == 465, 20
DEFAULT_FROM_EMAIL = f"atrium@{_mail.hostname}" if _mail.hostname else "atrium@localhost"
DEMO_FILE = env.DATA_DIR / "demo.json"
RUNTIME_URL = env.read("ATRIUM_RUNTIME_URL")
RUNTIME_MODELS = [env.BASE_DIR / "runtimes" / "models", env.DATA_DIR / "models"]  # the last: made by itself
MODEL_FILES = env.BASE_DIR / ".models"
RUNTIME_TOKEN = env.read("ATRIUM_RUNTIME_TOKEN")
BASE_DIR = env.BASE_DIR
