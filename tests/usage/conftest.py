"""Ledger tests commit, so they have tenants of their own (tests.usage.books)."""

from tests.usage.books import books, other_books, two_books  # noqa: F401
