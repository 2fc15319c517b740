"""Sealing one text for one place: AES-256-GCM with the schema's data key; tenant, table, row and field are
part of the seal.

Guards against: a ciphertext read without its key, changed, or moved to another row, field or tenant.
Does not guard against: putting an older ciphertext of the same field back.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag

from tenants.sealing import keys

PREFIX = "v1:"
NONCE_BYTES = 12


class BrokenSeal(ValueError):
    """The ciphertext was damaged, or sealed for another place or with another key."""


def _place(table: str, row: object, field: str) -> bytes:
    """What the seal binds to. Lengths in front, so that no two places read alike."""
    return b"".join(
        len(part).to_bytes(4) + part
        for part in (text.encode() for text in ("v1", keys.label_of_scope(), table, str(row), field))
    )


def seal(plain: str, *, table: str, row: object, field: str) -> str:
    """Seal a text for one field of one row of the active scope; makes the scope's data key on first use."""
    nonce, place = os.urandom(NONCE_BYTES), _place(table, row, field)
    sealed = keys.key_for_sealing().encrypt(nonce, plain.encode(), place)
    return PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(sealed: str, *, table: str, row: object, field: str) -> str:
    """The text that was sealed for this place. Raises BrokenSeal, or NoDataKey where the schema's key is
    gone.
    """
    if not sealed.startswith(PREFIX):
        raise BrokenSeal("This is no sealed text.")
    try:
        data = base64.urlsafe_b64decode(sealed.removeprefix(PREFIX))
    except (binascii.Error, ValueError) as exc:
        raise BrokenSeal("The sealed text is damaged.") from exc
    nonce, body, place = data[:NONCE_BYTES], data[NONCE_BYTES:], _place(table, row, field)
    cached = keys.cached_key()
    for key in [cached] if cached else []:
        try:
            return key.decrypt(nonce, body, place).decode()
        except (InvalidTag, ValueError):
            pass  # the cached key may be of a transaction that was rolled back: ask the database
    try:
        return keys.key_for_opening().decrypt(nonce, body, place).decode()
    except (InvalidTag, ValueError) as exc:
        raise BrokenSeal(
            "The sealed text does not belong here: it was moved, changed, or sealed with another key."
        ) from exc
