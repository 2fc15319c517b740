"""English is the source; German and Chinese are complete."""

from django.utils.translation import gettext_lazy as _

from config.settings.env import BASE_DIR
from config.settings.security import INSTANCE, USES_TLS

LANGUAGE_CODE = "en"
LANGUAGES = [("de", _("German")), ("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
# ours go first; then our words for texts of libraries, over those of the libraries themselves
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale" / "libraries"]
FORMAT_MODULE_PATH = "config.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_COOKIE_NAME = f"atrium_language_{INSTANCE}"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = USES_TLS
