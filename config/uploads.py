"""How large the body of a request to a page may be: more than others have where a room takes files
(`tenants.files.paths`), and the person is logged in, as far as their plan goes.

Guards against: strangers who fill the disk: their bodies have the limit of every page.
"""

from http.cookies import CookieError, SimpleCookie

from django.conf import settings
from django.db import Error as DatabaseError

from accounts.sessions import is_logged_in
from tenants.context import in_platform, in_tenant
from tenants.doors import hosts
from tenants.files.limits import bound
from tenants.files.paths import RIM_BYTES, find_most_bytes
from tenants.selectors import get_storage_allowance


async def find_body_limit(scope, host: str) -> int:
    """Asks the database only for bodies that need more than every page takes, or do not say."""
    usual: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    most_bytes = find_most_bytes(scope["path"])
    if most_bytes is None or scope["method"] != "POST":
        return usual
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")[:20]
    if declared.isdigit() and int(declared) <= usual:
        return usual
    session_key = _read_session_key(headers.get(b"cookie", b""))
    if not session_key or hosts.is_platform_host(host):
        return usual
    try:
        is_known, door = hosts.recall(f"host:{host}")
        door = door if is_known else await in_platform(hosts.find_tenant_by_host, host)
        if door is None or door.state != hosts.DoorState.OPEN:
            return usual
        is_in, largest = await in_tenant(door.slug, _ask, session_key)
    except DatabaseError:
        return usual
    return max(usual, bound(most_bytes, largest) + RIM_BYTES) if is_in else usual


def _ask(session_key: str) -> tuple[bool, int | None]:
    is_in = is_logged_in(session_key)
    return is_in, get_storage_allowance().largest_file_bytes if is_in else None


def _read_session_key(cookies: bytes) -> str:
    try:
        found = SimpleCookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return found.value if found else ""
