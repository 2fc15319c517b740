"""The only way out of the house: which addresses may be reached, and the two clients that keep to it.

`check_url` before an address is stored, `open_session` (aiohttp) in the data plane, `client` (httpx)
everywhere else. No other module makes an HTTP client (proof S44).
"""

from foundation.egress.control_plane import client, read_json
from foundation.egress.data_plane import connector, open_session
from foundation.egress.errors import EgressRefused
from foundation.egress.networks import Reach, classify
from foundation.egress.policy import PRIVATE, PUBLIC, EgressPolicy
from foundation.egress.resolving import check_resolved, resolve_checked
from foundation.egress.urls import Target, check_url, parse_url

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
    "resolve_checked",
]
