"""What processes that do work are forked from (tenants.work.hands). Imported there only."""

import os

import django

from foundation.collector import importing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
with importing():
    django.setup()
