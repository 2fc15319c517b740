"""Work of the queue `knowledge` as a worker does it, within the test's own process and transaction."""

from rag.services import PURPOSE
from rag.work_names import QUEUE
from tenants.files.models import File
from tenants.files.services import store_file
from tenants.local.models import Work
from tests.chores import do_work


def bring(content: bytes | str, name: str = "rules.txt", owner=None, purpose: str = PURPOSE) -> File:
    raw = content.encode() if isinstance(content, str) else content
    return store_file(
        [raw],
        size_bytes=len(raw),
        most_bytes=len(raw),
        name=name,
        declared_type="",
        purpose=purpose,
        owner_id=owner.pk if owner else None,
        expires_at=None,
    )


def work_off(most: int = 50) -> int:
    """All that is due now; how many pieces that was."""
    return do_work(QUEUE, most)


def newest(kind: str) -> Work:
    return Work.objects.filter(kind=kind).latest("created_at")
