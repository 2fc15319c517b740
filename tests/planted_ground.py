"""What the processes of tests.planted are forked from. Imported there only."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
