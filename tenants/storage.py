"""Files lie below `<media>/<slug>/…`; a path that leads out of the tenant's folder is refused."""

import os
from pathlib import Path

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from tenants.context import scope_label


class TenantStorage(FileSystemStorage):
    """The file system storage of the active tenant; `platform` is the platform's folder."""

    @property
    def location(self) -> str:
        return str(Path(super().location) / self._folder())

    @property
    def base_location(self) -> str:
        return str(Path(super().base_location) / self._folder())

    def _open(self, name: str, mode: str = "rb") -> File:
        """What is written is nobody else's to read, and its folders too."""
        path = Path(self.path(name))
        if "w" in mode:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return File(open(path, mode, opener=_open_privately))

    @staticmethod
    def _folder() -> str:
        label = scope_label()
        if label == "-":
            raise RuntimeError("Files belong to a tenant: none is active.")
        return label


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
