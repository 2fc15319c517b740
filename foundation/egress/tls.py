"""One TLS context for both clients: the system's certificates (an own authority counts) and
certifi's, where the system has none.
"""

import ssl
from functools import cache

import certifi


@cache
def tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
