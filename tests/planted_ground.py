"""What the processes of tests.planted are forked from. Imported there only."""

import os

import django

from foundation.collector import importing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with importing():
    django.setup()
