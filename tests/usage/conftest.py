"""Ledger tests commit, so they have tenants of their own (tests.usage.books). What hypothesis draws hangs on
nothing outside the test: by day always the same, by night (`ATRIUM_PROOF`) anew and twenty times as much. No
clock, which a busy machine fails, and no folder that runs side by side share.
"""

import os

from hypothesis import settings

from tests.usage.books import books, other_books, two_books  # noqa: F401

IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
settings.register_profile("day", deadline=None, database=None, derandomize=True)
settings.register_profile("night", deadline=None, database=None, max_examples=2_000)
settings.load_profile("night" if IS_NIGHT else "day")
