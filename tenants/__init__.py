"""The lowest room: who the tenant is, and everything that must not mix two of them.

Nouns: tenant, domain, plan, scope (the active tenant), schema, role, duty, outbox message, data key.
Called by every other room; imports none of them.
"""
