"""The form of an API key: `atr_<tenant's slug>_<8 char id>_<43 random characters>`.

The slug routes, the id finds the row, the secret is compared by its SHA-256. No part holds an underscore, so
a double click selects a key whole, and it can be taken apart from either end.
"""

import hmac
import secrets
import string
from dataclasses import dataclass
from hashlib import sha256

from tenants.slugs import is_slug

PREFIX = "atr"
ID_LENGTH, SECRET_LENGTH = 8, 43
_ALPHABET = string.ascii_letters + string.digits
_NO_DIGEST = sha256(b"no key has this digest").digest()


@dataclass(frozen=True, slots=True)
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
        or len(parts[3]) != SECRET_LENGTH
    ):
        return None
    return ParsedKey(parts[1], parts[2], digest_of(parts[3]))


def read_bearer(authorization: str) -> str | None:
    """The key in an `Authorization` header, or None if it has another form (RFC 6750; the scheme in any
    case).
    """
    scheme, _space, text = authorization.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def slug_of(text: str) -> str:
    """The tenant that a key names, "" where it has not the form of one.
    Says nothing of whether it is good.
    """
    return text.split("_", 2)[1] if text.startswith(f"{PREFIX}_") else ""


def is_same(stored: bytes | None, given: ParsedKey) -> bool:
    """Compare in constant time; a missing row is compared too, so that it takes as long."""
    same = hmac.compare_digest(stored or _NO_DIGEST, given.digest)
    return same and stored is not None
