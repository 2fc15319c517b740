"""Log-in and passwords (django-allauth): by e-mail, per tenant, rate-limited."""

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_FORMS = {"reset_password": "accounts.password_reset.PasswordResetForm"}
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
# a class, no secret
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.tokens.TenantPasswordResetTokens"  # noqa: S105
ACCOUNT_EMAIL_VERIFICATION = "none"  # people are invited by their admin; nobody signs up
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
# so long after as many wrong passwords an account takes none at all; accounts.adapter tells what is left
LOGIN_LOCK_MINUTES = 5
# all others are for a minute, which errors/429.html tells
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": f"10/m/ip,5/{LOGIN_LOCK_MINUTES}m/key",
    "reset_password": "20/m/ip,5/m/key",
    "change_password": "5/m/user",
}
# the server has put the client's own address into REMOTE_ADDR (settings.TRUSTED_PROXIES)
ALLAUTH_TRUSTED_PROXY_COUNT = 0

# what an API key can be limited to: asked for by a room below that one
MODEL_ROUTES = "models_registry.selectors.list_routes"

PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 24 * 3600
