"""Django's settings, one file per concern. Installations differ by environment variables (env.py), never by
code.
"""

from config.settings.accounts import *  # noqa: F403
from config.settings.admin import *  # noqa: F403
from config.settings.api import *  # noqa: F403
from config.settings.apps import *  # noqa: F403
from config.settings.database import *  # noqa: F403
from config.settings.files import *  # noqa: F403
from config.settings.languages import *  # noqa: F403
from config.settings.logs import *  # noqa: F403
from config.settings.security import *  # noqa: F403
from config.settings.serving import *  # noqa: F403
from config.settings.tasks import *  # noqa: F403
