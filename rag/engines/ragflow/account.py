"""The tenant's account at RAGFlow, and the way there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext

from foundation.egress import EgressPolicy, Target, check_url, parse_url
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from foundation.told import words_of
from rag import work_names as names
from rag.engines.ragflow.errors import KEY, RagflowError
from rag.models import Collection, RagflowAccount
from tenants.data_policy import DataPolicy, forbids_storage, place_of
from tenants.sealing import BrokenSeal, NoDataKey, Secret, open_field
from tenants.work.services import order

API = re.compile(r"(?:/api)?(?:/v1)?/*\Z")  # what people copy along with the address
BELIEVED = timedelta(seconds=90)  # that it is away, before somebody asks again


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds and bytes of one request."""

    read_s: float
    total_s: float
    most_bytes: int = 20_000_000


SEARCHING = Patience(4.0, 4.0)  # longer than that, words answer from the copy
WORKING = Patience(30.0, 300.0)  # files go up in this time


def find_account() -> RagflowAccount | None:
    return RagflowAccount.objects.first()


def get_account() -> RagflowAccount:
    """Raises InvalidInput where the tenant has none."""
    row = find_account()
    if row is None:
        message = _("Your organisation has no RAGFlow account. An administrator can enter one.")
        raise InvalidInput(message, code="ragflow_account", param="engine")
    return row


def is_in_own_network(base_url: str) -> bool:
    """Whether the operator says so."""
    return parse_url(base_url).host in settings.PRIVATE_RAGFLOW


def check_place(data_policy: str, account: RagflowAccount) -> None:
    """Raises InvalidInput where the collection's data may not go to this server, which keeps what it gets."""
    is_kept_out = forbids_storage(data_policy) or (
        place_of(data_policy) != DataPolicy.ANYWHERE and not is_in_own_network(account.base_url)
    )
    if is_kept_out:
        message = _(
            "The texts of this collection may not go to the RAGFlow server: choose where they may go."
        )
        raise InvalidInput(message, code="data_policy", param="data_policy")


def check_engine(collection: Collection) -> None:
    """Raises InvalidInput where the collection's engine cannot have it."""
    if collection.engine == Collection.Engine.RAGFLOW:
        check_place(collection.data_policy, get_account())


def read_address(text: str) -> str:
    """A server's address in its one form. Raises InvalidInput (param `base_url`)."""
    try:
        target: Target = check_url(text.strip(), policy_for(text, WORKING))
        if "?" in target.path:
            raise InvalidInput(_("The base address must not hold a “?” part."))
        own = is_in_own_network(text.strip())
        if settings.ATRIUM_ENV == "production" and target.scheme != "https" and not own:
            message = _("In production, RAGFlow is reached with https only.")
            raise InvalidInput(message, code="https_required")
    except InvalidInput as exc:
        exc.param = "base_url"
        raise
    return API.sub("", text.strip())


def policy_for(base_url: str, patience: Patience) -> EgressPolicy:
    """Its own host and port, nothing else; in a private network only where the operator names it."""
    target = parse_url(base_url.strip())
    return EgressPolicy(
        allow_private=is_in_own_network(base_url.strip()),
        allowed_hosts=frozenset({target.host}),
        allowed_ports=frozenset({target.port}),
        schemes=frozenset({target.scheme}),
        timeout_connect_s=2.0,
        timeout_read_s=patience.read_s,
        timeout_total_s=patience.total_s,
        max_bytes=patience.most_bytes,
    )


@contextmanager
def open_ragflow(account: RagflowAccount, patience: Patience) -> Iterator:
    """A `calls.Ragflow`. Raises RagflowError where the key cannot be opened."""
    # the SDK and what it brings take a fifth of a second: whoever has no RAGFlow does not wait for them
    from rag.engines.ragflow.calls import Ragflow
    from rag.engines.ragflow.wire import open_wire

    with open_wire(account.base_url, _open_key(account), policy_for(account.base_url, patience)) as wire:
        yield Ragflow(wire)


def _open_key(account: RagflowAccount) -> Secret | None:
    try:
        return open_field(account, "secret")
    except (BrokenSeal, NoDataKey) as exc:
        message = _("The stored API key cannot be opened any more. Enter it again.")
        raise RagflowError(message, code=KEY) from exc


def is_known_away(account: RagflowAccount) -> bool:
    checked_at = account.last_checked_at
    return bool(account.last_error and checked_at and checked_at > timezone.now() - BELIEVED)


@transaction.atomic
def note_check(account: RagflowAccount, error: str | Promise) -> None:
    """When the server was asked, and what was wrong."""
    account.last_checked_at, account.last_error = timezone.now(), str(error)[:500]
    account.last_error_words = words_of(error) if error else None
    RagflowAccount.objects.filter(pk=account.pk).update(
        last_checked_at=account.last_checked_at,
        last_error=account.last_error,
        last_error_words=account.last_error_words,
    )


@transaction.atomic
def note_away(account: RagflowAccount, error: RagflowError) -> None:
    """It did not answer: it is asked again until it does."""
    note_check(account, error.message)
    order(names.WATCH, account.pk)


def say_away() -> str:
    """That RAGFlow is not there, and why, in the reader's language; nothing where it is."""
    account = find_account()
    if account is not None and not account.last_error:
        return ""
    if account is None:
        return gettext("The RAGFlow account is gone: what was read before is found by words only.")
    said = gettext("RAGFlow does not answer: what it had read is found by words only. %(why)s")
    return said % {"why": account.failure}
