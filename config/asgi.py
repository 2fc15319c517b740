"""The ASGI entry: the gateway's data plane takes `/v1`, Django everything else; the lifespan starts and stops
the gateway's loop.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

from foundation.collector import importing

with importing():
    django_application = get_asgi_application()

    from config.intake import Intake  # needs the app registry
    from gateway.front import Front

application = Front(Intake(django_application))
gateway_only = Front()
