"""Ledger tests commit, so each module has tenants of its own (tests.usage.books)."""

from tests.usage.books import books, other_books, two_books  # noqa: F401
