"""The administrations' people, roles, projects, keys, rights of use, limits, background tasks and audit log.
Operators (in
`public`) stand on the platform's site, all else on the tenant's.
"""

# each registers itself
from accounts.admin import (  # noqa: F401
    audit,
    files,
    grants,
    keys,
    limits,
    origins,
    projects,
    roles,
    users,
    work,
)
