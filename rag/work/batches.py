"""Files that a program brought together (`/v1/vector_stores/…/file_batches`): the request itself takes them
(`rag.stores.batches`) and notes that it did; reading each is work of its own.
"""

from tenants.work.runs import Run


def take_nothing(run: Run) -> None:
    """All is taken before the row is there."""
