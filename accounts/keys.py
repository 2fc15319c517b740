"""The form of an API key: `atr_<tenant's slug>_<8 char id>_<43 random characters>`.

The slug routes, the id finds the row, the secret is compared by its SHA-256. No part holds an underscore, so
a double click selects a key whole, and it can be taken apart from either end.
"""

import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from tenants.slugs import is_slug

PREFIX = "atr"
KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key")
ID_LENGTH, SECRET_LENGTH = 8, 43
_ALPHABET = string.ascii_letters + string.digits
_NO_DIGEST = sha256(b"no key has this digest").digest()


@dataclass(slots=True)
class ParsedKey:
    slug: str
    key_id: str
    digest: bytes


def make_key(slug: str) -> tuple[str, ParsedKey]:
    """A new random key: (its text, shown once; what is stored)."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))
    return f"{PREFIX}_{slug}_{key_id}_{secret}", ParsedKey(slug, key_id, digest_of(secret))


def digest_of(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def parse_key(text: str) -> ParsedKey | None:
    """The parts of a key, or None if the text does not have its form."""
    parts = text.split("_", 3)
    if (
        len(parts) != 4
        or parts[0] != PREFIX
        or not is_slug(parts[1])
        or len(parts[2]) != ID_LENGTH
        or not (parts[2].isascii() and parts[2].isalnum())
        or len(parts[3]) != SECRET_LENGTH
    ):
        return None
    return ParsedKey(parts[1], parts[2], digest_of(parts[3]))


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that a request shows: `Authorization: Bearer …` (RFC 6750; the scheme in any case), `x-api-key`
    (Anthropic's clients) or `api-key` (Azure's). Names of headers in lower case. None: it shows none.

    The only reader, so that every door says the same. Where two keys differ none is believed: "", which opens
    nothing. A name without a value beside a key is what clients send whose setting is empty.
    """
    shown = list_shown(headers)
    return next(iter(shown)) if len(shown) == 1 else "" if shown else None


def list_shown(headers: Iterable[tuple[bytes, bytes]]) -> set[str]:
    """The different keys that a request shows; "" alone where a name for one stands without a value."""
    shown = set()
    for name, value in headers:
        if name in KEY_HEADERS:
            # a server may have joined a header that came twice by a comma, which is in no key
            for text in value.decode("latin-1").split(","):
                key = _read_bearer(text) if name == b"authorization" else text.strip()
                if key is not None:
                    shown.add(key)
    if len(shown) > 1:
        shown.discard("")
    return shown


def _read_bearer(text: str) -> str | None:
    scheme, *rest = text.split(None, 1) or [""]
    return "".join(rest).strip() if scheme.lower() == "bearer" else None


def slug_of(text: str) -> str:
    """The tenant that a key names, "" where it has not the form of one.
    Says nothing of whether it is good.
    """
    return text.split("_", 2)[1] if text.startswith(f"{PREFIX}_") else ""


def is_same(stored: bytes | None, given: ParsedKey) -> bool:
    """Compare in constant time; a missing row is compared too, so that it takes as long."""
    same = hmac.compare_digest(stored or _NO_DIGEST, given.digest)
    return same and stored is not None
