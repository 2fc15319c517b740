"""The engines by the name that a collection keeps."""

from rag.engines import Engine
from rag.engines.pgvector import PgvectorEngine
from rag.models import Collection

_engines: dict[str, Engine] = {Collection.Engine.PGVECTOR: PgvectorEngine()}


def engine_of(collection: Collection) -> Engine:
    return _engines[collection.engine]
