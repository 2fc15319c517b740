"""The administrations' people, roles, projects, keys, rights of use, limits and audit log. Operators (in
`public`) stand on the platform's site, all else on the tenant's.
"""

from accounts.admin import audit, grants, keys, limits, origins, projects, roles, users  # noqa: F401  (they register themselves)
