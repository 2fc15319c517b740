"""Entering, changing, checking and removing the tenant's account at RAGFlow."""

from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.permissions import require
from foundation.errors import Conflict, InvalidInput
from foundation.told import gettext as _
from foundation.told import ngettext
from models_registry.addresses import origin_of
from rag.engines.ragflow.account import WORKING, note_check, open_ragflow, read_address
from rag.engines.ragflow.errors import RagflowError
from rag.models import Generation, RagflowAccount
from tenants.sealing import Secret
from tenants.turns import take_turns

MOST_KEY = 500  # characters


@transaction.atomic
def add_account(
    *, actor: User | None, base_url: str, secret: Secret | str, embedding_model: str = ""
) -> RagflowAccount:
    """The one that a tenant may have. Asks nobody. Raises NotAllowed, InvalidInput, ValidationError."""
    require(actor, "rag.add_ragflowaccount")
    take_turns("the account at RAGFlow")
    if RagflowAccount.objects.exists():
        raise Conflict(_("Your organisation has a RAGFlow account already: change that one."))
    row = RagflowAccount(
        base_url=read_address(base_url), secret=check_key(secret), embedding_model=embedding_model.strip()
    )
    row.full_clean()
    row.save()
    return row


@transaction.atomic
def change_account(*, actor: User | None, account: RagflowAccount, **changes: Any) -> RagflowAccount:
    """Of `base_url`, `secret` and `embedding_model`, what is given. The key never travels to another server:
    there it must be entered again. Raises NotAllowed, InvalidInput, ValidationError.
    """
    require(actor, "rag.change_ragflowaccount")
    row = RagflowAccount.objects.select_for_update().get(pk=account.pk)
    if "base_url" in changes:
        if origin_of(changes["base_url"]) != origin_of(row.base_url) and not changes.get("secret"):
            raise InvalidInput(
                _(
                    "The address leads to another server. Enter the API key again, so that it is sent "
                    "nowhere by mistake."
                ),
                param="secret",
            )
        row.base_url = read_address(changes["base_url"])
    if changes.get("secret"):
        row.secret = check_key(changes["secret"])
    row.embedding_model = changes.get("embedding_model", row.embedding_model).strip()
    row.full_clean()
    row.save()
    note_check(row, "")
    return row


def check_key(secret: Secret | str) -> str:
    text = secret.reveal() if isinstance(secret, Secret) else secret.strip()
    if not text or len(text) > MOST_KEY or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidInput(_("Enter the API key as RAGFlow shows it."), param="secret")
    return text


@transaction.atomic
def remove_account(*, actor: User | None, account: RagflowAccount) -> None:
    """Raises NotAllowed, and Conflict while collections lie there."""
    require(actor, "rag.delete_ragflowaccount")
    count = Generation.objects.filter(engine="ragflow").values("collection").distinct().count()
    if count:
        told = ngettext(
            "%(count)d collection lies at RAGFlow. Choose another engine for it first.",
            "%(count)d collections lie at RAGFlow. Choose another engine for them first.",
            count,
        )
        raise Conflict(told % {"count": count}, code="ragflow_in_use")
    RagflowAccount.objects.filter(pk=account.pk).delete()


def check_account(*, actor: User | None, account: RagflowAccount) -> None:
    """Ask the server whether it knows the key, and note the answer. Outside a transaction: it waits for the
    network. Raises NotAllowed, RagflowError.
    """
    require(actor, "rag.change_ragflowaccount")
    try:
        with open_ragflow(account, WORKING) as ragflow:
            ragflow.check()
    except RagflowError as exc:
        note_check(account, exc.message)
        raise
    note_check(account, "")
