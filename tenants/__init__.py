"""Tenancy: who the tenant is, and everything that must not mix two of them.

Nouns: tenant, domain, plan, scope (the active tenant), schema, role, duty, work, data key.
Called by every room but the two below it, `foundation` and `launcher`.
"""
