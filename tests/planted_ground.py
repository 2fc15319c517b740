"""What the processes of tests.planted are forked from. Imported there only.

It has no thread, no connection and no loop. Each process makes its application itself: middleware reads the
settings when it is made.
"""

import os
import sys
from importlib import import_module

import django
from django.core.management import call_command

from foundation.collector import importing

LOADED = ("config.asgi", "foundation.http_server", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvloop")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with importing():
    django.setup()
    for name in LOADED:
        import_module(name)
    call_command("check", fail_level="ERROR", verbosity=0)  # imports the addresses and their views
    del sys.modules["config.asgi"]
