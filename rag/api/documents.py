"""`/api/v1/documents/` and `/api/v1/saved-questions/`: single ones, by their own ids."""

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from rag.api.access import get_document, get_question
from rag.api.bodies import PairsField
from rag.api.shapes import DocumentSerializer, QuestionSerializer
from rag.changes import change_document, delete_question
from rag.intake import cancel_document, retry_document
from rag.models import Document, SavedQuestion
from rag.services import delete_document
from rest.permissions import ANYONE
from rest.serializers import StrictSerializer
from rest.views import AtriumViewSet


class DocumentChanges(StrictSerializer):
    title = serializers.CharField(max_length=300)
    metadata = PairsField()


class DocumentViewSet(AtriumViewSet):
    """Documents of the collections that you may use."""

    serializer_class = DocumentSerializer
    queryset = Document.objects.none()
    rights = dict.fromkeys(("retrieve", "partial_update", "destroy", "retry", "cancel"), ANYONE)

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        """With how far its reading is."""
        return self.respond(get_document(request, pk))

    @extend_schema(request=DocumentChanges, responses=DocumentSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        document = get_document(request, pk)
        given = self.read_body(DocumentChanges, partial=True)
        return self.respond(change_document(actor=request.user, document=document, **given))

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        """With what it brought, and all that is found of it."""
        delete_document(actor=request.user, document=get_document(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: DocumentSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: HttpRequest, pk: str) -> Response:
        """Read it again; of a web page, fetch it again."""
        row = retry_document(actor=request.user, document=get_document(request, pk))
        return self.respond(row, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: DocumentSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: HttpRequest, pk: str) -> Response:
        """Stop reading it. What is found of it stays."""
        row = cancel_document(actor=request.user, document=get_document(request, pk))
        return self.respond(row, status.HTTP_202_ACCEPTED)


class SavedQuestionViewSet(AtriumViewSet):
    """Questions by which the search of a collection is measured."""

    serializer_class = QuestionSerializer
    queryset = SavedQuestion.objects.none()
    rights = dict.fromkeys(("retrieve", "destroy"), ANYONE)

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_question(request, pk))

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        row = get_question(request, pk)
        delete_question(actor=request.user, collection=row.collection, question_id=row.pk)
        return Response(status=status.HTTP_204_NO_CONTENT)
