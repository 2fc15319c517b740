"""Which processes live. Any tenant may ask."""

from uuid import UUID

from usage.platform.models import Process


def is_process_alive(process_id: UUID) -> bool:
    """Whether the process has given a sign of life within its lease (20 s)."""
    return Process.objects.living().filter(pk=process_id).exists()
