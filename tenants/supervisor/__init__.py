"""What keeps processes running: the embedded servers, the lock on a data directory, the guardian, and `up`'s event loop.

Nouns: data directory, account, embedded server, child, stage, ladder (of signals), guardian. Imports no Django.
Called by `tenants.embedded` and `tenants.up`.
"""
