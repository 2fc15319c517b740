"""The pages of knowledge: collections, their documents, and where an answer stands."""

from django.urls import path

from rag.intake import MOST_DOCUMENT_BYTES
from rag.uploads import PART_BYTES
from rag.views import bench, collections, documents, graph, relations, sources, uploads
from tenants.files.paths import upload_path

app_name = "rag"
urlpatterns = [
    path("", collections.show_list, name="collection-list"),
    path("new/", collections.create, name="collection-create"),
    path("source/", sources.panel, name="source-panel"),
    path("documents/<uuid:document_id>/", sources.show_document, name="document-detail"),
    path("documents/<uuid:document_id>/passages/", sources.show_passages, name="document-passages"),
    path("files/<uuid:document_id>/", sources.send_file, name="document-file"),
    path("uploads/", uploads.begin, name="upload-create"),
    path("uploads/<uuid:upload_id>/", uploads.show, name="upload-detail"),
    path("uploads/<uuid:upload_id>/parts/", uploads.add_part, name="upload-part"),
    path("uploads/<uuid:upload_id>/complete/", uploads.complete, name="upload-complete"),
    path("uploads/<uuid:upload_id>/cancel/", uploads.cancel, name="upload-cancel"),
    path("<uuid:collection_id>/", documents.show, name="collection-detail"),
    path("<uuid:collection_id>/documents/", documents.upload, name="document-upload"),
    path("<uuid:collection_id>/texts/", documents.paste, name="document-text"),
    path("<uuid:collection_id>/addresses/", documents.fetch, name="document-address"),
    path("<uuid:collection_id>/progress/", documents.progress, name="document-progress"),
    path("<uuid:collection_id>/actions/", documents.act, name="document-action"),
    path("<uuid:collection_id>/search/", bench.show, name="collection-search"),
    path("<uuid:collection_id>/graph/", graph.show, name="collection-graph"),
    path("<uuid:collection_id>/relations/", relations.relations, name="collection-relations"),
    path("<uuid:collection_id>/graph.graphml", graph.export, name="graph-export"),
    path("<uuid:collection_id>/questions/", bench.save, name="question-create"),
    path("<uuid:collection_id>/questions/delete/", bench.delete, name="question-delete"),
    path("<uuid:collection_id>/evaluation/", bench.evaluate, name="collection-evaluation"),
    path("<uuid:collection_id>/access/", collections.access, name="collection-access"),
    path("<uuid:collection_id>/settings/", collections.settings, name="collection-settings"),
    path("<uuid:collection_id>/hand-over/", collections.hand_over, name="collection-hand-over"),
    path("<uuid:collection_id>/rebuild/", collections.rebuild, name="collection-rebuild"),
    path("<uuid:collection_id>/delete/", collections.delete, name="collection-delete"),
]

upload_path(r"/knowledge/[^/]+/documents/", most_bytes=MOST_DOCUMENT_BYTES)
upload_path(r"/knowledge/uploads/[^/]+/parts/", most_bytes=PART_BYTES)
