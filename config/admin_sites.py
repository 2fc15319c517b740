"""The two administrations, for the URLs of the two kinds of host. Rooms register their models with
`administration`.
"""

from administration.sites import service_admin, system_admin

__all__ = ["service_admin", "system_admin"]
