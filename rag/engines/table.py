"""The engines by the name that a collection keeps."""

from rag.engines import Engine
from rag.engines.pgvector import PgvectorEngine
from rag.engines.ragflow import RagflowEngine
from rag.models import Collection

_engines: dict[str, Engine] = {
    Collection.Engine.PGVECTOR: PgvectorEngine(),
    Collection.Engine.RAGFLOW: RagflowEngine(),
}


def engine_of(collection: Collection) -> Engine:
    """The one that it shall have."""
    return _engines[collection.engine]


def engine_named(name: str) -> Engine:
    return _engines[name]


def engines_in(collection: Collection) -> list[Engine]:
    """Those that hold an index of it, the one that answers first."""
    names = set(collection.generations.values_list("engine", flat=True))
    answering = find_answering(collection)
    return [_engines[name] for name in sorted(names, key=lambda name: (name != answering, name))]


def find_answering(collection: Collection) -> str:
    """The name of the engine that answers now; before there is any, of the one that it shall have."""
    here = collection.generations.filter(pk=collection.active_generation_id or 0)
    return here.values_list("engine", flat=True).first() or collection.engine


def hands_over(collection: Collection) -> bool:
    """Whether files of this collection go to an engine that reads them itself."""
    return any(engine.takes_files for engine in engines_in(collection))
