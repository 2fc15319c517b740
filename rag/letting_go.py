"""A file that its owner deletes at /v1/files, or whose time is over, goes from the collections in which they
may delete documents. A document stays where another file of the same bytes was brought, too.
"""

from uuid import UUID

from accounts.models import User
from accounts.selectors.people import get_known_user
from rag.models import Document
from rag.rights import may_edit
from rag.services import delete_document
from rag.twins import leave_to_twin
from tenants.files.models import File
from tenants.files.uses import lets_go


@lets_go
def forget_documents(user_id: UUID, file: File) -> None:
    try:
        user = get_known_user(user_id)
    except User.DoesNotExist:
        return
    for document in Document.objects.filter(file=file).select_related("collection"):
        if may_edit(user, document.collection, "rag.delete_document") and not leave_to_twin(
            document, file.pk
        ):
            delete_document(actor=user, document=document)
