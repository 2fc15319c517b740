"""Files lie below `<media>/<slug>/…`; a path that leads out of the tenant's folder is refused."""

from pathlib import Path

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

    @staticmethod
    def _folder() -> str:
        label = scope_label()
        if label == "-":
            raise RuntimeError("Files belong to a tenant: none is active.")
        return label
