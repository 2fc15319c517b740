"""`/api/v1/collections/`."""

from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts.authentication import key_of
from foundation.errors import InvalidInput
from gateway.files.shapes import PURPOSES, unknown_file
from gateway.files.shapes import read_id as read_file_id
from rag import intake, relating
from rag.api.access import check_models, get_collection, get_document, list_readable, policy_of, project_of
from rag.api.bodies import (
    CollectionChanges,
    CollectionQuery,
    DocumentQuery,
    NewCollection,
    NewDocument,
    NewHolder,
    NewQuestion,
    RelationsOrder,
    SearchQuestion,
)
from rag.api.shapes import (
    PRIVATE,
    CollectionSerializer,
    DocumentSerializer,
    FoundSerializer,
    GraphSerializer,
    QuestionSerializer,
)
from rag.booking import booked_on
from rag.changes import CHANGE, change_collection, change_document, save_question
from rag.embedders import find_dimensions, list_embedders
from rag.handing_over import PERSON, get_person, hand_over
from rag.listing import list_documents
from rag.models import Collection, Document
from rag.progress import describe_collections, describe_documents
from rag.relating import check_reader
from rag.rights import require_edit
from rag.searching import search_now
from rag.selectors import list_asked_models
from rag.services import create_collection, delete_collection
from rag.stores.filters import list_filtered, read_filters
from rag.vision import check_vision_model
from rest.permissions import ANYONE
from rest.views import AtriumViewSet
from tenants.files.selectors import find_own_file


class CollectionViewSet(AtriumViewSet):
    """Collections that you may use: your own and those that are shared with you."""

    serializer_class = CollectionSerializer
    queryset = Collection.objects.none()
    # whom a collection lets write is asked by the services
    rights = dict.fromkeys(
        (
            *("list", "retrieve", "create", "partial_update", "destroy", "rebuild", "search", "hand_over"),
            *("documents", "add_document", "questions", "add_question"),
            *("graph", "order_relations", "stop_relations"),
        ),
        ANYONE,
    )
    query_serializers = {"list": CollectionQuery, "documents": DocumentQuery}

    @extend_schema(parameters=[CollectionQuery])
    def list(self, request: HttpRequest) -> Response:
        rows = list_readable(request)
        for word in self.query.get("q", "").split():
            rows = rows.filter(name__icontains=word)
        return self._page(rows, CollectionSerializer, describe_collections)

    def _page(self, rows: QuerySet[Any], serializer_class: Any, describe: Any) -> Response:
        """With how far each is, in a fixed number of queries."""
        found = self.paginate_queryset(rows)
        context = {**self.get_serializer_context(), "progress": describe(found)}
        return self.get_paginated_response(serializer_class(found, many=True, context=context).data)

    def retrieve(self, request: HttpRequest, pk: str) -> Response:
        return self.respond(get_collection(request, pk))

    @extend_schema(request=NewCollection, responses={201: CollectionSerializer})
    def create(self, request: HttpRequest) -> Response:
        given = self.read_body(NewCollection)
        owner_id = request.user.pk if given.pop("visibility") == PRIVATE else None
        columns = self._with_dimensions(given)
        columns["data_policy"] = policy_of(request, columns.get("data_policy", ""))
        self._check_seer(columns, "", columns["data_policy"])
        self._check_reader(columns, "", columns["data_policy"])
        return self.create_once(
            lambda: self.respond(
                create_collection(actor=request.user, owner_id=owner_id, **columns), status.HTTP_201_CREATED
            )
        )

    def _check_reader(self, given: dict[str, Any], present: str, policy: str) -> None:
        """Raises InvalidInput."""
        name = given.get("relations_model", present)
        if name != present:
            check_models(self.request, name)
            check_reader(self.request.user, name, given.get("data_policy", policy))

    def _check_seer(self, given: dict[str, Any], present: str, policy: str) -> None:
        """Raises InvalidInput."""
        name = given.get("vision_model", present)
        if name != present:
            check_models(self.request, name, param="vision_model")
            policy = given.get("data_policy", policy)
            check_vision_model(self.request.user, self.request.tenant, name, policy)

    def _with_dimensions(self, given: dict[str, Any], present: str = "") -> dict[str, Any]:
        """With the vectors' length. Raises InvalidInput for a model that the caller may not use."""
        name = given.get("embedding_model")
        if name is None:
            return given
        user = self.request.user
        check_models(self.request, name)
        if name and name not in dict(list_embedders(user, self.request.tenant, present)):
            raise InvalidInput(
                _("There is no embedding model of this name, or you may not use it."), param="embedding_model"
            )
        return given | {"dimensions": find_dimensions(user, name)}

    @extend_schema(request=CollectionChanges, responses=CollectionSerializer)
    def partial_update(self, request: HttpRequest, pk: str) -> Response:
        """What changes its index has a new one made, beside the one that answers until then."""
        row = get_collection(request, pk)
        given = self.read_body(CollectionChanges, partial=True)
        columns = self._with_dimensions(given, row.embedding_model)
        self._check_seer(given, row.vision_model, row.data_policy)
        self._check_reader(given, row.relations_model, row.data_policy)
        with transaction.atomic():
            needs_index = change_collection(actor=request.user, collection=row, **columns)
            row.refresh_from_db()
            if needs_index and row.documents.exists():
                intake.rebuild_collection(actor=request.user, collection=row)
        return self.respond(row)

    def destroy(self, request: HttpRequest, pk: str) -> Response:
        """With its documents and all that is found of them."""
        delete_collection(actor=request.user, collection=get_collection(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: CollectionSerializer})
    @action(detail=True, methods=["post"])
    def rebuild(self, request: HttpRequest, pk: str) -> Response:
        """Make its index anew."""
        row = get_collection(request, pk)
        intake.rebuild_collection(actor=request.user, collection=row)
        return self.respond(row, status.HTTP_202_ACCEPTED)

    @extend_schema(request=NewHolder, responses=CollectionSerializer)
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: HttpRequest, pk: str) -> Response:
        """Your own collection goes to another person, who alone may use it then, or to everybody."""
        row = get_collection(request, pk)
        given = self.read_body(NewHolder)
        require_edit(request.user, row, CHANGE)
        to = get_person(given["person"]) if given["to"] == PERSON else None
        return self.respond(hand_over(actor=request.user, collection=row, to=to))

    @extend_schema(parameters=[DocumentQuery], responses=DocumentSerializer(many=True), filters=True)
    @action(detail=True, methods=["get"], serializer_class=DocumentSerializer, is_paged=True)
    def documents(self, request: HttpRequest, pk: str) -> Response:
        """Its documents, the newest first, with how far each is."""
        rows = list_documents(
            get_collection(request, pk),
            words=self.query.get("q", ""),
            state=self.query.get("state", ""),
            source=self.query.get("source", ""),
            sort="",
        )
        return self._page(rows, DocumentSerializer, describe_documents)

    @extend_schema(
        request=NewDocument,
        responses={
            201: DocumentSerializer,
            200: OpenApiResponse(DocumentSerializer, description="The collection has it already."),
        },
    )
    @documents.mapping.post
    def add_document(self, request: HttpRequest, pk: str) -> Response:
        """Bring in a file, a text or a web page. It waits until it is read: ask for the document again."""
        collection = get_collection(request, pk)
        given = self.read_body(NewDocument)
        key = key_of(request)
        with booked_on(key_id=key.pk, project_id=key.project_id) if key else nullcontext():
            document, is_new = self._bring(collection, given)
        if not is_new and "metadata" in given and document.metadata != given["metadata"]:
            change_document(actor=request.user, document=document, metadata=given["metadata"])
        return self.respond(document, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    def _bring(self, collection: Collection, given: dict[str, Any]) -> tuple[Document, bool]:
        about = {
            "actor": self.request.user,
            "collection": collection,
            "metadata": given.get("metadata"),
        }
        if "text" in given:
            return intake.add_text(**about, title=given.get("title", ""), text=given["text"])
        if "url" in given:
            return intake.add_url(**about, url=given["url"], recrawl_days=given.get("recrawl_days"))
        pk = read_file_id(given["file"], "file-")
        file = find_own_file(self.request.user.pk, PURPOSES, pk) if pk is not None else None
        if file is None:
            raise unknown_file(given["file"])
        return intake.add_file(**about, file=file, title=given.get("title", ""))

    @extend_schema(request=SearchQuestion, responses=FoundSerializer)
    @action(detail=True, methods=["post"])
    def search(self, request: HttpRequest, pk: str) -> Response:
        """The passages that answer a question, the best first, and how they were found."""
        collection = get_collection(request, pk)
        given = self.read_body(SearchQuestion)
        filters = read_filters(given["filters"]) if given.get("filters") is not None else None
        check_models(
            request, given.get("reranker", ""), *list_asked_models(list_readable(request).filter(pk=pk))
        )
        found = search_now(
            request.user,
            given["question"],
            collections=[collection],
            project_id=project_of(request, collection),
            count=given["count"],
            leg=given["leg"],
            reranker=given.get("reranker", ""),
            document_ids=None if filters is None else list_filtered(collection, filters),
        )
        return Response(FoundSerializer(found).data)

    @extend_schema(responses=GraphSerializer)
    @action(detail=True, methods=["get"])
    def graph(self, request: HttpRequest, pk: str) -> Response:
        """The relations that a model reads: how far they are, and what another order would read and cost."""
        return self._tell_graph(get_collection(request, pk))

    def _tell_graph(self, row: Collection, status_code: int = status.HTTP_200_OK) -> Response:
        seen = relating.preview(self.request.user, row) if row.relations_model else relating.Preview("")
        told = {"preview": seen, "state": relating.describe(row)}
        return Response(GraphSerializer(told).data, status_code)

    @extend_schema(request=RelationsOrder, responses={202: GraphSerializer})
    @graph.mapping.post
    def order_relations(self, request: HttpRequest, pk: str) -> Response:
        """Have them read: with the preview that you have seen, and a cap in its currency, or in passages
        where the model is free of charge. Booked on the key and its project.
        """
        row, given, key = get_collection(request, pk), self.read_body(RelationsOrder), key_of(request)
        check_models(request, given["model"])
        seen = relating.Preview(given["model"], passage_count=given["passages"], cost=given["cost"])
        with booked_on(key_id=key.pk, project_id=key.project_id) if key else nullcontext():
            relating.order_relations(actor=request.user, collection=row, seen=seen, cap=given["cap"])
        return self._tell_graph(row, status.HTTP_202_ACCEPTED)

    @extend_schema(responses=GraphSerializer)
    @graph.mapping.delete
    def stop_relations(self, request: HttpRequest, pk: str) -> Response:
        """Stop reading. What was read stays."""
        row = get_collection(request, pk)
        relating.cancel_relations(actor=request.user, collection=row)
        return self._tell_graph(row)

    @extend_schema(responses=QuestionSerializer(many=True), filters=True)
    @action(detail=True, methods=["get"], serializer_class=QuestionSerializer, is_paged=True)
    def questions(self, request: HttpRequest, pk: str) -> Response:
        """The saved questions, by which its search is measured."""
        return self.page(get_collection(request, pk).questions.all())

    @extend_schema(request=NewQuestion, responses={201: QuestionSerializer})
    @questions.mapping.post
    def add_question(self, request: HttpRequest, pk: str) -> Response:
        """Save a question; one that is there gets the new place."""
        collection = get_collection(request, pk)
        given = self.read_body(NewQuestion)
        span = (given["char_from"], given["char_to"]) if "char_from" in given else None
        row = save_question(
            actor=request.user,
            collection=collection,
            text=given["text"],
            document=get_document(request, given["document"]) if "document" in given else None,
            span=span,
        )
        return self.respond(row, status.HTTP_201_CREATED)
