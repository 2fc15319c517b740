"""The two kinds of blocking work behind a request for files: the tenant's database, and the disk."""

import asyncio
import contextvars
import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import OperationalError

from foundation.errors import Unavailable
from foundation.told import gettext as _
from tenants.context import in_tenant, tenant

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

# Each step moves half a megabyte, so that they take turns however many files are on the way.
DISK_THREADS = 8
_executor = ThreadPoolExecutor(max_workers=DISK_THREADS, thread_name_prefix="files")
_FULL = (errno.ENOSPC, errno.EDQUOT)


async def on_database(slug: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """A step in a transaction of its own. Raises Unavailable."""
    try:
        return await in_tenant(slug, function, *args, **kwargs)
    except OperationalError as exc:
        raise Unavailable(_("The database does not answer. Try again in a moment."), retry_after_s=2) from exc


async def on_disk(slug: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """A step that reads or writes the tenant's files. Raises Unavailable."""
    context = contextvars.copy_context()
    step = partial(context.run, _in_scope, slug, partial(function, *args, **kwargs))
    try:
        return await asyncio.get_running_loop().run_in_executor(_executor, step)
    except OSError as exc:
        logger.exception("a file of %s could not be read or written", slug)
        text = (
            _("The storage is full. Tell your operator.")
            if exc.errno in _FULL
            else _("The file cannot be read or written at this moment. Try again later.")
        )
        raise Unavailable(text, code="storage_unavailable") from exc


def _in_scope(slug: str, function: Callable[[], R]) -> R:
    with tenant(slug):
        return function()
