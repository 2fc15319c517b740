"""Which apps live in which world, the middleware, and the templates."""

from config.settings.env import BASE_DIR, ENVIRONMENT

IDENTITY_APPS = [  # tables in `public` (operators) and in every tenant schema
    "accounts",
    "tenants.local",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.admin",
    "auditlog",
    "allauth",
    "allauth.account",
]
SHARED_APPS = ["django_tenants", "tenants", *IDENTITY_APPS, "models_registry.platform", "usage.platform"]
TENANT_APPS = [*IDENTITY_APPS, "tenants.files", "usage", "models_registry", "rag", "prompts"]
_WITHOUT_TABLES = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "administration",
    "gateway",
    "runtimes",
]
INSTALLED_APPS = [*_WITHOUT_TABLES, *SHARED_APPS, *[app for app in TENANT_APPS if app not in SHARED_APPS]]

MIDDLEWARE = [
    "config.middleware.RequestIdMiddleware",
    "config.middleware.QueryMiddleware",
    "config.middleware.CompressionMiddleware",
    "config.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.StaticFilesMiddleware",
    "tenants.doors.middleware.TenantMiddleware",
    "accounts.middleware.EarlierSessionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.AuditMiddleware",
    "config.middleware.ErrorMiddleware",
]

ROOT_URLCONF = "config.urls_tenant"
PUBLIC_SCHEMA_URLCONF = "config.urls_platform"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": [
                "administration.rail",
                "foundation.amounts",
                "foundation.focus",
                "foundation.icons",
                "foundation.paging",
                "foundation.spacing",
                "usage.labels",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context_processors.surroundings",
            ],
        },
    }
]
DEBUG = False
ATRIUM_ENV = ENVIRONMENT
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
TENANT_SYNC_ROUTER = "tenants.database.routers.TenantRouter"
DATABASE_ROUTERS = [TENANT_SYNC_ROUTER]
TENANT_DB_ALIAS = "owner"

# What a tenant's role may read in `public`; the names exist in no tenant schema (checks atrium.E001, E002).
TENANT_READABLE_PUBLIC_TABLES = ["usage_platform_process"]
# Tenant and platform tables that are only ever added to.
APPEND_ONLY_TABLES = ["usage_usageevent", "usage_budgetoverrun", "auditlog_logentry"]
