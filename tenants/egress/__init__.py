"""The only way out of the house: which addresses may be reached, and the two clients that keep to it (RELIABILITY rule 8).

`check_url` before an address is stored, `open_session` (aiohttp) in the data plane, `client` (httpx) everywhere else. No other module
makes an HTTP client (proof S44).
"""

from tenants.egress.control_plane import client, read_json
from tenants.egress.data_plane import connector, open_session, read_limited, read_lines
from tenants.egress.errors import EgressRefused
from tenants.egress.networks import Reach, classify
from tenants.egress.policy import PRIVATE, PUBLIC, EgressPolicy
from tenants.egress.resolving import check_resolved, resolve_checked
from tenants.egress.urls import Target, check_url, parse_url

__all__ = [
    "PRIVATE",
    "PUBLIC",
    "EgressPolicy",
    "EgressRefused",
    "Reach",
    "Target",
    "check_resolved",
    "check_url",
    "classify",
    "client",
    "connector",
    "open_session",
    "parse_url",
    "read_json",
    "read_limited",
    "read_lines",
    "resolve_checked",
]
