"""Waiting for a collection in whose index others write, without holding anything meanwhile: the database lets
nobody wait for a lock as long as a large document takes, and who waits here can be cancelled.
"""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar
from uuid import UUID

from rag.models import Collection
from rag.services import CollectionBusy, lock_collection
from tenants.work.runs import Run, Several

T = TypeVar("T")
PAUSE_S = 0.1


def write_alone(
    run: Run | Several,
    collection_id: UUID,
    write: Callable[[], T],
    within: Callable[[], AbstractContextManager[None]],
) -> T | None:
    """What `write` gives, called with the collection locked, in one transaction: `within` is `run.step` or
    `run.conclusion`. A collection that is gone takes nothing. Raises what `run.check` does.
    """
    while True:
        try:
            with within():
                lock_collection(collection_id, waits=False)
                result = write()
            return result
        except Collection.DoesNotExist:
            return None
        except CollectionBusy:
            run.check()
            time.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
