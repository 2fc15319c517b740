"""The work of another index of a collection: filled here, or by the engine that takes the files."""

from rag.engines.table import engine_named
from rag.models import Generation
from rag.work import embedding, handing
from tenants.work.runs import Run


def rebuild(run: Run) -> None:
    """Until it is complete, the one that is there answers. Raises InvalidInput."""
    rows = Generation.objects.select_related("collection").defer("lexicon")
    generation = rows.filter(pk=int(run.arguments["generation"])).first()
    if generation is None or generation.pk == generation.collection.active_generation_id:
        return
    if engine_named(generation.engine).takes_files:
        handing.fill(run, generation)
    else:
        embedding.rebuild(run)
