"""Data keys: one per schema, wrapped by the installation's master keys (settings.MASTER_KEYS, the first one
wraps new ones).

Guards against: reading secrets from a stolen database, backup or export without a master key, and after the
data key was deleted.
Does not guard against: an attacker inside the running process, which holds the keys it has used for up to a
minute.
"""

import logging
import secrets
import time
from collections import OrderedDict
from threading import Lock

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction

from foundation.errors import is_not_set_up
from tenants.context import NoTenant, Scope, current_scope, platform, scope_label, use_scope
from tenants.occasions import new_tenant

logger = logging.getLogger(__name__)

KEY_BYTES = 32
MAX_CACHED = 1_000
CACHED_S = 60.0  # so long may a deleted data key live on in a process


class NoDataKey(LookupError):
    """The schema has no data key that the master keys open: it was shredded, or the installation's master key
    is another.
    """


class _Cache:
    """The unwrapped keys of the scopes used last."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[float, AESGCM]] = OrderedDict()
        self._lock = Lock()

    def find(self, label: str) -> AESGCM | None:
        with self._lock:
            entry = self._entries.get(label)
            if entry is None or entry[0] < time.monotonic():
                return None
            self._entries.move_to_end(label)
            return entry[1]

    def keep(self, label: str, key: AESGCM) -> None:
        with self._lock:
            self._entries[label] = (time.monotonic() + CACHED_S, key)
            self._entries.move_to_end(label)
            while len(self._entries) > MAX_CACHED:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_cache = _Cache()


def forget_data_keys() -> None:
    """Drop every unwrapped key that this process holds."""
    _cache.clear()


def label_of_scope() -> str:
    """The active scope as sealed into each ciphertext. Raises NoTenant outside every scope: nothing is sealed
    in nobody's name.
    """
    if current_scope() is None:
        raise NoTenant("Secrets are sealed and opened inside a tenant's or the platform's scope.")
    return scope_label()


def _master() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.MASTER_KEYS])


def _unwrap(wrapped: bytes) -> AESGCM:
    try:
        return AESGCM(_master().decrypt(bytes(wrapped)))
    except InvalidToken as exc:
        raise NoDataKey("None of the master keys opens this data key.") from exc


def _stored_key():
    # here, because the log filter of this package is loaded before the models
    from tenants.local.models import DataKey

    return DataKey.objects.order_by("created_at", "id").first()


def make_data_key() -> AESGCM:
    """The active schema's data key, made if there is none yet. Two callers at once get the same one."""
    from tenants.local.models import DataKey

    scope = current_scope()
    using = "owner" if scope and scope.kind == "owner" else "default"
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"atrium.datakey.{label_of_scope()}"],
            )
        stored = _stored_key()
        if stored is not None:
            return _unwrap(stored.wrapped)
        plain = secrets.token_bytes(KEY_BYTES)
        DataKey.objects.create(wrapped=_master().encrypt(plain))
        return AESGCM(plain)


def key_for_sealing() -> AESGCM:
    """The key as the database has it now, never from the cache: a cached one may belong to a transaction that
    was rolled back.
    """
    stored = _stored_key()
    return make_data_key() if stored is None else _unwrap(stored.wrapped)


def cached_key() -> AESGCM | None:
    return _cache.find(label_of_scope())


def key_for_opening() -> AESGCM:
    """The key as the database has it now, kept for the next minute. Raises NoDataKey."""
    stored = _stored_key()
    if stored is None:
        raise NoDataKey("This schema has no data key: its secrets were shredded.")
    key = _unwrap(stored.wrapped)
    _cache.keep(label_of_scope(), key)
    return key


def check_data_key() -> None:
    """Raises NoDataKey if the active schema has a data key that no master key opens. Before the first there
    is nothing to open.
    """
    stored = _stored_key()
    if stored is not None:
        _unwrap(stored.wrapped)


@new_tenant.register
def give_new_tenant_a_key(slug: str) -> None:
    make_data_key()


def rewrap_data_keys() -> int:
    """Wrap every data key with the first master key, after a new one was put in front; returns how many
    schemas were done.

    Each schema is a transaction of its own, so it can be stopped and run again. Afterwards the old master key
    may be removed; not if this raises NoDataKey, which names the schemas that still need it.
    """
    from tenants.models import Tenant

    with platform():
        rows = list(Tenant.objects.values_list("slug", "status"))
    scopes = [Scope("platform"), *(Scope("tenant", slug) for slug, _status in rows)]
    unready = {slug for slug, status in rows if status in Tenant.UNREADY}
    done, failed = 0, []
    for scope in scopes:
        try:
            with use_scope(scope):
                _rewrap_active_schema()
            done += 1
        except (InvalidToken, DatabaseError) as exc:
            if scope.slug in unready and is_not_set_up(exc):
                continue  # its set-up stopped before it had a schema
            logger.exception("the data key of %s could not be wrapped anew", scope.slug or "the platform")
            failed.append(scope.slug or "platform")
    forget_data_keys()
    if failed:
        raise NoDataKey(f"The old master keys are still needed for: {', '.join(failed)}.")
    return done


def _rewrap_active_schema() -> None:
    from tenants.local.models import DataKey

    master = _master()
    with transaction.atomic():
        for row in DataKey.objects.select_for_update():
            row.wrapped = master.rotate(bytes(row.wrapped))
            row.save(update_fields=["wrapped"])
    if not connection.in_atomic_block:
        connection.close()
