"""`python -m bench.rag_embedding --json FILE`: how fast a collection gets its vectors through the queue,
beside the runtime asked directly for vectors of the same texts, in as large batches and as many at once. Both
on a platform of their own, one after the other, twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MODEL, DIMENSIONS = "multilingual-e5-small", 384
PASSAGES, TURNS = 256, 2
PATIENCE_S = 300.0


def main() -> None:
    """Inside the platform: a collection is filled and its vectors are waited for. Prints the seconds from the
    start of the work that makes them to the last of them, the texts, and how the work asks.
    """
    from django.utils import timezone

    from bench.rag_intake import bring, list_passages
    from rag.engines.pgvector.words import indexed_text
    from rag.models import Chunk, Generation
    from rag.services import create_collection
    from rag.work.embedding import AT_ONCE, BATCH
    from rag.work_names import EMBED
    from tenants.context import tenant
    from tenants.local.models import Work

    task = json.loads(os.environ["BENCH_TASK"])
    passages = list_passages()
    with tenant("bench-1"):
        collection = create_collection(
            actor=None, name=task["name"], embedding_model=MODEL, dimensions=DIMENSIONS, languages=["en"]
        )
        text = "\n\n".join(
            f"{task['name']} {place}: {passages[place % len(passages)][:600]}" for place in range(PASSAGES)
        )
        bring(collection, text.encode(), f"{task['name']}.txt")
        rows = Generation.objects.filter(collection=collection)
        end = time.monotonic() + PATIENCE_S
        while not (row := rows.get()).chunk_count or row.vector_count < row.chunk_count:
            if time.monotonic() > end:
                raise SystemExit(f"{row.vector_count} vectors of {row.chunk_count} after {PATIENCE_S:.0f} s")
            time.sleep(0.02)
        work = Work.objects.filter(kind=EMBED, object_id=str(row.pk)).earliest("created_at")
        seconds = (timezone.now() - work.started_at).total_seconds()
        chunks = Chunk.objects.filter(generation__in=rows).select_related("document").order_by("pk")
        texts = [indexed_text(chunk.document.title, chunk) for chunk in chunks]
    print(json.dumps({"seconds": seconds, "texts": texts, "batch": BATCH, "at_once": AT_ONCE}))


def ask_directly(client: Any, texts: list[str], *, batch: int, at_once: int) -> float:
    """Texts in a second."""
    batches = [texts[begin : begin + batch] for begin in range(0, len(texts), batch)]
    begun = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda batch: client.embeddings.create(model=MODEL, input=batch), batches))
    return len(texts) / (time.monotonic() - begun)


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import openai

    from bench.atrium import RUNTIME_TOKEN, run_inside
    from bench.scene import Scene

    with Scene(quick=True) as scene:
        platform = scene.platform
        client = openai.OpenAI(
            base_url=f"{platform.addresses['runtime_url']}/v1", api_key=RUNTIME_TOKEN, max_retries=0
        )
        queue, direct = [], []
        for turn in range(TURNS):
            found = run_inside(platform.data, "rag_embedding", name=f"turn {turn}")
            texts = found["texts"]
            queue.append(len(texts) / found["seconds"])
            direct.append(ask_directly(client, texts, batch=found["batch"], at_once=found["at_once"]))
    figures = {
        "queue_per_s": max(queue),
        "runtime_per_s": max(direct),
        "share": max(queue) / max(direct),
    }
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(run())
