"""Keeping a file, and what lies in a tenant's folder."""

from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.utils import timezone

from tenants.files import services
from tenants.files.models import Blob, File
from tenants.files.selectors import get_place
from tenants.files.streams import read_blob

ABOUT = {
    "name": "a.txt",
    "declared_type": "text/plain",
    "purpose": "user_data",
    "owner_id": None,
    "expires_at": None,
}


def keep(content: bytes = b"content", **about: Any) -> File:
    return services.store_file(
        [content[:3], content[3:]], size_bytes=len(content), most_bytes=1_000_000, **ABOUT | about
    )


def content_of(file: File) -> bytes:
    return b"".join(read_blob(get_place(file.blob_id)))


def list_bytes() -> dict[str, bytes]:
    """Path → what lies there, of the active tenant."""
    folder = Path(default_storage.path("files"))
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def age(**condition: Any) -> None:
    """Let nobody have worked on these blobs for longer than anybody may be silent."""
    long_ago = timezone.now() - services.STALE_AFTER * 2
    assert Blob.objects.filter(**condition).update(touched_at=long_ago)


def remove_all() -> None:
    from tenants.files.cleaning import clean_up
    from tenants.files.models import Upload

    Upload.objects.filter(state="pending").update(expires_at=timezone.now())
    Upload.objects.exclude(state="pending").delete()
    for file in File.objects.all():
        services.delete_file(file)
    Blob.objects.update(touched_at=timezone.now() - services.STALE_AFTER * 2)
    clean_up()
    Upload.objects.all().delete()
    assert not Blob.objects.exists() and list_bytes() == {}
