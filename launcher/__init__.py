"""What starts the house and keeps its processes running: `up`, the embedded servers, the lock on a data
directory, the guardian.

Nouns: data directory, account, embedded server, child, stage, ladder (of signals), guardian. Imports no
Django.
Called by `manage.py` (`launcher.up`), by the settings and by tests (`launcher.embedded`).
"""
