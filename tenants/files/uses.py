"""What else goes with a file that its owner deletes: rooms that use files register how they let go of one.

    @lets_go
    def forget_documents(user_id: UUID, file: File) -> None: ...

Whoever keeps the file all the same holds it by its foreign key, and it is not deleted.
"""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

from tenants.files.models import File
from tenants.files.services import delete_file

LetGo = Callable[[UUID, File], None]
_registered: list[LetGo] = []


def lets_go(function: LetGo) -> LetGo:
    if function not in _registered:
        _registered.append(function)
    return function


@transaction.atomic
def delete_own_file(user_id: UUID, file: File) -> None:
    """Its owner wants it gone, wherever it is used. Raises Conflict where a room still needs it, and what
    letting go raises; then all stays.
    """
    for let_go in _registered:
        let_go(user_id, file)
    delete_file(file)
