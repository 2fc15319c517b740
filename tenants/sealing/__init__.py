"""Secrets at rest: master keys wrap one data key per schema, data keys seal the fields.

`seal` and `unseal`, the `SealedTextField` that models use, the `Secret` that code passes around, and
`rewrap_data_keys` for a new master key.
"""

from tenants.sealing.crypto import BrokenSeal, seal, unseal
from tenants.sealing.fields import SealedText, SealedTextField, open_field
from tenants.sealing.keys import NoDataKey, check_data_key, forget_data_keys, make_data_key, rewrap_data_keys
from tenants.sealing.logs import SecretFilter
from tenants.sealing.secret import Secret

__all__ = [
    "BrokenSeal",
    "NoDataKey",
    "SealedText",
    "SealedTextField",
    "Secret",
    "SecretFilter",
    "check_data_key",
    "forget_data_keys",
    "make_data_key",
    "open_field",
    "rewrap_data_keys",
    "seal",
    "unseal",
]
