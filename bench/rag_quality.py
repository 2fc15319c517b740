"""`python -m bench.rag_quality [--sets DIR] [--json FILE] [--sample DIR]`: sets of questions, indexed and
searched with an embedded PostgreSQL of its own; figures per set and leg.

Without `--sets` it measures the sample of `make test`, whose vectors are stored. For whole sets the embedded
runtime's model computes them once (ATRIUM_BENCH_CACHE, default `~/.cache/atrium-bench`, keeps them).
`--sample` makes the sample anew out of whole sets.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "runtimes" / "recipes" / "multilingual-e5-small"
EMBED_AT_ONCE = 200
# of the sample: questions, and passages, of each set
QUESTIONS, PASSAGES = 60, 150
SAMPLED = ("xquad-de", "xquad-en", "xquad-zh", "gesetze-de")
# of questions that need several passages, which are searched by words alone: no vectors are kept
SAMPLED_HOPS, HOP_PASSAGES = ("musique-multihop-en",), 400


class CachedModel:
    """The embedded runtime's engine, with a file of what it has computed before."""

    def __init__(self, name: str, cache: Path) -> None:
        from tests.rag.sample_of_sets import StoredVectors

        self._cache = cache
        self._path = cache / f"{name}.vectors"
        self.vectors = dict(StoredVectors(self._path).by_key) if self._path.exists() else {}
        self._engine = None

    def __call__(self, texts: Sequence[str], kind: str) -> list[Sequence[float]]:
        from tests.rag.sample_of_sets import key_of, write_vectors

        missing = [text for text in dict.fromkeys(texts) if key_of(text, kind) not in self.vectors]
        for begin in range(0, len(missing), EMBED_AT_ONCE):
            batch = missing[begin : begin + EMBED_AT_ONCE]
            found = asyncio.run(self._embed(batch, kind))
            self.vectors.update(
                (key_of(text, kind), vector) for text, vector in zip(batch, found.tolist(), strict=True)
            )
            write_vectors(self._path, self.vectors)
            print(f"{self._path.stem}: {len(self.vectors)} vectors", file=sys.stderr, flush=True)
        return [self.vectors[key_of(text, kind)] for text in texts]

    async def _embed(self, texts: list[str], kind: str):
        from runtimes.ml.embedding_request import parse_embedding_request

        if self._engine is None:
            self._engine = self._load()
        rows = self._engine.encode(
            parse_embedding_request({"model": RECIPE.name, "input": texts, "input_type": kind})
        )
        return await self._engine.embed(rows)

    def _load(self):
        from runtimes.ml.embedder import Engine
        from runtimes.ml.model_folder import ModelFolder

        models = self._cache / "models"
        folders = ["--sources", str(ROOT / ".models"), "--models", str(models)]
        subprocess.run(
            [sys.executable, "-m", "runtimes.ml.conversion", str(RECIPE), *folders], cwd=ROOT, check=True
        )
        return Engine(ModelFolder(models / RECIPE.name), slots=1)


def measure(folder: Path, names: Sequence[str]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Set → leg → measure → mean and the ends of its interval; `gain` is the graph's, by question."""
    from tests.rag.measure import MEASURES, fill, gains, interval, rank, read_set, score
    from tests.rag.sample_of_sets import FOLDER, StoredVectors

    found = {}
    for name in names:
        test_set = read_set(folder / name)
        stored = folder / name / "vectors.bin"
        embed = StoredVectors(stored) if stored.exists() else CachedModel(name, cache_folder())
        if folder == FOLDER and name in SAMPLED_HOPS:
            embed = None
        rankings = rank(test_set, fill(test_set, embed), embed)
        found[name] = {
            leg: {
                measure: [mean(figures), *interval(figures)]
                for measure in MEASURES
                for figures in [score(test_set, ranking, measure)]
            }
            for leg, ranking in rankings.items()
        }
        found[name]["gain"] = {
            measure: [mean(figures), *interval(figures)]
            for measure in MEASURES
            for figures in [gains(test_set, rankings, measure)]
        }
        print(
            name, {leg: round(figures["nDCG@10"][0], 4) for leg, figures in found[name].items()}, flush=True
        )
    return found


def cache_folder() -> Path:
    folder = Path(os.environ.get("ATRIUM_BENCH_CACHE") or Path.home() / ".cache" / "atrium-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_sample(folder: Path, target: Path) -> None:
    """Questions by chance, the passages that answer them, and others up to the number."""
    for name in (*SAMPLED, *SAMPLED_HOPS):
        most = HOP_PASSAGES if name in SAMPLED_HOPS else PASSAGES
        lines = {
            kind: [json.loads(line) for line in (folder / name / f"{kind}.jsonl").read_text().splitlines()]
            for kind in ("corpus", "queries")
        }
        judged = [line.split("\t") for line in (folder / name / "qrels.tsv").read_text().splitlines()[1:]]
        chance = random.Random(27)
        asked = {question for question, _passage, _score in judged}
        questions = chance.sample([row for row in lines["queries"] if row["_id"] in asked], QUESTIONS)
        ids = {row["_id"] for row in questions}
        qrels = [row for row in judged if row[0] in ids]
        gold = {passage for _question, passage, _score in qrels}
        others = [row["_id"] for row in lines["corpus"] if row["_id"] not in gold]
        kept = gold | set(chance.sample(others, max(0, min(len(others), most - len(gold)))))
        passages = [row for row in lines["corpus"] if row["_id"] in kept]
        _write_set(target / name, passages, questions, qrels)
        if name in SAMPLED:
            _write_vectors(target / name)


def _write_set(folder: Path, passages: list[dict], questions: list[dict], qrels: list[list[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows, fields in (
        ("corpus", passages, ("_id", "lang", "title", "text")),
        ("queries", questions, ("_id", "text")),
    ):
        text = "".join(
            json.dumps({field: row[field] for field in fields}, ensure_ascii=False) + "\n" for row in rows
        )
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in qrels)]
    (folder / "qrels.tsv").write_text("\n".join(lines) + "\n")


def _write_vectors(folder: Path) -> None:
    """Of what the search asks for, found by filling a collection once."""
    from tests.rag.measure import fill, rank, read_set
    from tests.rag.sample_of_sets import key_of, write_vectors

    model, used, test_set = CachedModel(folder.name, cache_folder()), {}, read_set(folder)

    def embed(texts: Sequence[str], kind: str) -> list[Sequence[float]]:
        found = model(texts, kind)
        used.update((key_of(text, kind), vector) for text, vector in zip(texts, found, strict=True))
        return found

    rank(test_set, fill(test_set, embed), embed)
    write_vectors(folder / "vectors.bin", used)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sample", type=Path)
    options = parser.parse_args()
    import tests.services  # noqa: F401  (starts PostgreSQL and Valkey for this process)

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from tenants.context import platform, tenant
    from tenants.database.schemas import migrate_public, migrate_template
    from tenants.provisioning.services import create_tenant, ensure_default_plans
    from tests.rag.sample_of_sets import FOLDER

    migrate_public()
    migrate_template()
    with platform():
        ensure_default_plans()
    create_tenant(slug="bench", name="Bench", host="bench.localhost", plan="unlimited")
    with tenant("bench"):
        if options.sample:
            write_sample(options.sets, options.sample)
            return 0
        folder = options.sets or FOLDER
        names = options.only or sorted(path.parent.name for path in folder.glob("*/qrels.tsv"))
        figures = measure(folder, names)
    if options.json:
        options.json.write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
