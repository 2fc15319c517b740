"""The administrations' people, roles, projects, keys and audit log. Operators (in `public`) stand on the
platform's site, all else on the tenant's.
"""

from accounts.admin import audit, keys, origins, projects, roles, users  # noqa: F401  (they register themselves)
