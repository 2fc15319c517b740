"""What the commands of this room share: whose tables they mean, and keys
that never stand in a command line.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foundation.errors import InvalidInput
from launcher.values import read_value
from tenants.context import platform, tenant
from tenants.provisioning.services import get_tenant
from tenants.sealing import Secret


def add_scope(parser) -> None:
    """`--tenant SLUG | --platform`, one of which must be given."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--tenant", metavar="SLUG", help="work on this tenant's own")
    group.add_argument(
        "--platform", action="store_true", help="work on what the platform offers to its tenants"
    )


@contextmanager
def chosen_scope(options: dict[str, Any]) -> Iterator[None]:
    """Enter the scope that the options name. Raises NotFound for an unknown tenant."""
    if options["platform"]:
        with platform():
            yield
        return
    with platform():
        slug = get_tenant(options["tenant"]).slug
    with tenant(slug):
        yield


def add_key(parser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--api-key-env", metavar="VAR", help="read the provider's key from this environment variable"
    )
    group.add_argument("--api-key-file", metavar="FILE", help="read the provider's key from this file")


def read_key(options: dict[str, Any]) -> Secret:
    """The provider's key, or an empty one. Raises InvalidInput if it is not where the options say."""
    variable, path = options["api_key_env"], options["api_key_file"]
    if variable:
        text = os.environ.get(variable, "").strip()
        if not text:
            raise InvalidInput(f"The environment variable {variable} is not set.", param="api_key_env")
        return Secret(text)
    if path:
        try:
            text = read_value(Path(path))
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or "it is not plain text"
            raise InvalidInput(
                f"The key cannot be read from {path}: {reason}.", param="api_key_file"
            ) from exc
        if not text:
            raise InvalidInput(f"{path} is empty.", param="api_key_file")
        if not text.isascii():
            raise InvalidInput(
                f"The key cannot be read from {path}: it is not plain text.", param="api_key_file"
            )
        return Secret(text)
    return Secret("")
