"""The books themselves: holds before a call, exact bills after it, both durable. `ledger` is the door of the
gateway, `sweeper` settles what a dead process left; `bookings`, `budget_rules` and `batch` decide without
I/O, `wire` and `statements` speak to PostgreSQL.
"""
