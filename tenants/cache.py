"""Cache keys carry the tenant: `<slug>:<prefix>:<version>:<key>`, so that no process can read another
tenant's entry.
"""

from tenants.context import scope_label


def make_key(key: str, key_prefix: str, version: int) -> str:
    return f"{scope_label()}:{key_prefix}:{version}:{key}"
