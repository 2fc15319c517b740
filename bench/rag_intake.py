"""`python -m bench.rag_intake --json FILE`: how fast documents come in, with a PostgreSQL of its own and a
worker's crew in this process; no vectors. Beside it, on the same machine at the same time: the same
passages under PostgreSQL's own full text index, and the bare reader of the same PDF. What it costs is told
in CPU seconds of a thousand passages: through the queue, of the processes and of the database; and stage by
stage, done here one after the other. Texts in one language each, and texts that mix three in every section,
which are the worst case: all of it is read as German and read again when the lexicon is learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from bench import machine

TEXTS, PASSAGES_OF_A_TEXT = 8, 250
NOTES, PASSAGES_OF_A_NOTE = 100, 2
PAGES = 200
LAST_WORDS = b"Quetzals nest where xylophones rust."  # on the last page only
PATIENCE_S = 300.0
TEXTS_OF_A_LANGUAGE = 24
SAMPLES = ("xquad-en", "xquad-de", "xquad-zh")


def list_passages(names: Sequence[str] = SAMPLES) -> list[str]:
    from tests.rag.measure import read_set
    from tests.rag.sample_of_sets import FOLDER

    sets = [read_set(FOLDER / name) for name in names]
    rows = zip(*(list(one.passages.values()) for one in sets), strict=False)
    return [text for row in rows for _title, text in row]


def write_text(passages: list[str], number: int, count: int = PASSAGES_OF_A_TEXT) -> bytes:
    """A file of the passages, of which each is another one than in the file before."""
    return "\n\n".join(
        f"{number}.{place} {passages[place % len(passages)]}" for place in range(count)
    ).encode()


def write_pdf(passages: list[str], pages: int) -> bytes:
    """Each page a column of plain text, as PDF 1.4 has it."""
    lines = [
        line.encode("latin-1", "ignore").replace(b"\\", b"").replace(b"(", b"[").replace(b")", b"]")
        for passage in passages
        for line in (passage[at : at + 90] for at in range(0, len(passage), 90))
    ]
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for page in range(pages):
        body = [lines[(page * 40 + row) % len(lines)] for row in range(40)]
        if page == pages - 1:
            body[20] = LAST_WORDS
        shown = b"\n".join(
            b"(" + line + b") Tj T*" for line in [b"Page %d of the report." % (page + 1), *body]
        )
        stream = b"BT /F1 10 Tf 14 TL 50 800 Td\n" + shown + b"\nET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * page),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        ]
    written, places = bytearray(b"%PDF-1.4\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(written) + end % (len(objects) + 1, table, len(objects) + 1, len(written))


@contextmanager
def worker() -> Iterator[None]:
    from rag.work_names import QUEUE
    from tenants.work.crew import Crew

    crew = Crew(QUEUE, 3)
    thread = threading.Thread(target=crew.run)
    thread.start()
    stop, wake = threading.Event(), crew.wake

    def knock() -> None:  # in place of the broker
        while not stop.wait(0.2):
            wake()

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        yield
    finally:
        stop.set()
        crew.stop()
        thread.join()
        knocking.join()


def wait_until(is_so: Callable[[], Any]) -> float:
    """The moment."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit("what was brought did not become ready")
        time.sleep(0.05)
    return time.monotonic()


def say_failure() -> None:
    """Raises SystemExit for a document that will never be found."""
    from rag.models import Document

    if (failed := Document.objects.filter(state="failed").first()) is not None:
        raise SystemExit(f"{failed} was not read: {failed.why}")


def bring(collection: Any, content: bytes, name: str) -> None:
    from rag.intake import add_content

    add_content(actor=None, collection=collection, pieces=[content], size_bytes=len(content), name=name)


class Spent:
    """CPU seconds since it was made: of this process and all that it started, and of the database."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self._postmaster = int(machine.stat_fields(cursor.fetchone()[0])[1])
        self._begun = self._count()

    def _count(self) -> tuple[float, float]:
        database = machine.process_tree(self._postmaster)
        ours = set(machine.process_tree(os.getpid())).difference(database)
        return machine.cpu_seconds(ours, with_ended=True), machine.cpu_seconds(database, with_ended=True)

    def tell(self, chunks: int) -> tuple[float, float]:
        """Of a thousand passages."""
        return tuple(
            1000 * (now - then) / chunks for now, then in zip(self._count(), self._begun, strict=True)
        )


def measure() -> dict[str, float]:
    from rag.engines import Question
    from rag.engines.table import engine_of
    from rag.models import Chunk, Collection
    from rag.services import create_collection

    passages = list_passages()
    collection = create_collection(actor=None, name="Bench")
    here = Collection.objects.filter(pk=collection.pk)
    texts = [write_text(passages, number) for number in range(TEXTS)]
    with worker():
        bring_all(collection, [b"The worker is warm."], "warm")
        spent = Spent()
        chunks, seconds = bring_all(collection, texts, "text")
        processes, database = spent.tell(chunks)
        notes = [write_text(passages, number, PASSAGES_OF_A_NOTE) for number in range(NOTES)]
        spent_on_notes = Spent()
        _chunks, seconds_of_notes = bring_all(collection, notes, "note")
        cpu_s_notes = sum(spent_on_notes.tell(1000 * NOTES))
        by_language = {name: figure for sample in SAMPLES for name, figure in measure_language(sample)}
        pdf, question = write_pdf(passages, PAGES), Question(LAST_WORDS.decode(), here)
        begun = time.monotonic()
        bring(collection, pdf, "report.pdf")
        found = wait_until(lambda: engine_of(collection).search(question) or say_failure())
    return {
        "chunks": chunks,
        "chunks_per_s": chunks / seconds,
        "full_text_per_s": measure_full_text(list(Chunk.objects.values_list("text", flat=True)[:chunks])),
        "cpu_s_processes": processes,
        "cpu_s_database": database,
        **measure_stages(texts),
        **by_language,
        "notes_per_s": NOTES / seconds_of_notes,
        "cpu_s_of_a_note": cpu_s_notes,
        "pdf_s": found - begun,
        "bare_pdf_s": measure_bare_reader(pdf),
    }


def measure_language(sample: str) -> Iterator[tuple[str, float]]:
    """Texts in one language, in a collection of their own."""
    from rag.services import create_collection

    passages, collection = list_passages([sample]), create_collection(actor=None, name=sample)
    spent = Spent()
    texts = [write_text(passages, number) for number in range(TEXTS_OF_A_LANGUAGE)]
    chunks, seconds = bring_all(collection, texts, sample)
    processes, database = spent.tell(chunks)
    yield f"{sample}_chunks_per_s", chunks / seconds
    yield f"{sample}_cpu_s_processes", processes
    yield f"{sample}_cpu_s_database", database


def bring_all(collection: Any, contents: list[bytes], name: str) -> tuple[int, float]:
    """How many passages they made, and in how many seconds all of them were found."""
    from rag.models import Chunk, Document

    before, ready = Chunk.objects.count(), Document.objects.filter(state="ready")
    wanted, begun = ready.count() + len(contents), time.monotonic()
    for number, content in enumerate(contents):
        bring(collection, content, f"{name}-{number}.txt")
    ended = wait_until(lambda: ready.count() == wanted)
    return Chunk.objects.count() - before, ended - begun


def measure_stages(contents: list[bytes]) -> dict[str, float]:
    """CPU seconds of a thousand passages, without the queue: each document in a jail of its own, all in one,
    and all of them indexed, by this process and by the database.
    """
    from rag.parsing.run import Unread, parse, parse_each
    from rag.services import add_document, create_collection, index_documents

    collection = create_collection(actor=None, name="Stages")
    files = [Unread(content, f"{number}.txt", "text/plain") for number, content in enumerate(contents)]
    spent = Spent()
    for one in files:
        parse(one.content, name=one.name)
    alone, _database = spent.tell(1000)
    spent = Spent()
    found = list(parse_each(files))
    together, _database = spent.tell(1000)
    rows = [
        add_document(actor=None, collection=collection, title=one.name, content_hash=f"{number:064d}")[0]
        for number, one in enumerate(files)
    ]
    spent = Spent()
    parsed = {row: one.blocks for row, one in zip(rows, found, strict=True) if one is not None}
    count = index_documents(collection=collection, parsed=parsed)
    processes, database = spent.tell(count)
    return {
        "cpu_s_read_alone": 1000 * alone / count,
        "cpu_s_read_together": 1000 * together / count,
        "cpu_s_index_process": processes,
        "cpu_s_index_database": database,
    }


def measure_full_text(texts: list[str]) -> float:
    """The same passages in a table with a GIN index of `to_tsvector`, in batches of a document's."""
    import psycopg

    with psycopg.connect(os.environ["ATRIUM_OWNER_DATABASE_URL"]) as connection:
        connection.execute("CREATE SCHEMA reference")
        connection.execute(
            "CREATE TABLE reference.passage (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text, "
            "terms tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED)"
        )
        connection.execute("CREATE INDEX ON reference.passage USING gin (terms)")
        connection.commit()
        begun = time.monotonic()
        for place in range(0, len(texts), PASSAGES_OF_A_TEXT):
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY reference.passage (text) FROM STDIN") as copy,
            ):
                for text in texts[place : place + PASSAGES_OF_A_TEXT]:
                    copy.write_row([text])
            connection.commit()
        return len(texts) / (time.monotonic() - begun)


def measure_bare_reader(pdf: bytes) -> float:
    import pypdfium2

    begun = time.monotonic()
    for page in pypdfium2.PdfDocument(pdf):
        page.get_textpage().get_text_range()
    return time.monotonic() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import tests.services  # noqa: F401  (starts PostgreSQL and Valkey for this process)

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from tenants.context import platform, tenant
    from tenants.database.schemas import migrate_public, migrate_template
    from tenants.provisioning.services import create_tenant, ensure_default_plans

    migrate_public()
    migrate_template()
    with platform():
        ensure_default_plans()
    create_tenant(slug="bench", name="Bench", host="bench.localhost", plan="unlimited")
    with tenant("bench"):
        figures = measure()
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
