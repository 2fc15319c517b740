"""`manage.py collection create | change | add | list | show | search | relate | rebuild | delete`."""

from argparse import BooleanOptionalAction
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from django.db import transaction

from accounts.models import User
from accounts.selectors import get_user_by_email
from foundation.commands import AtriumCommand
from foundation.errors import AtriumError, InvalidInput, NotFound
from rag import relating, services
from rag.changes import change_collection
from rag.engines import Question
from rag.engines.table import engine_named, find_answering
from rag.intake import add_content, add_url, rebuild_collection
from rag.models import DIMENSIONS, Collection, Language
from rag.progress import describe_collection
from rag.relating import check_reader
from tenants.context import platform, tenant
from tenants.data_policy import DataPolicy
from tenants.provisioning.services import get_tenant

PIECE_BYTES = 1_000_000


class Command(AtriumCommand):
    help = "Make collections, bring files, folders and web pages into them, and search them."

    def add_actions(self) -> None:
        create = self._add("create", self.create, "make a collection; its id is printed")
        create.add_argument("--language", action="append", choices=Language.values, help="default: all")
        create.add_argument("--embedding-model", default="", metavar="MODEL", help="none: by words only")
        create.add_argument("--dimensions", type=int, choices=DIMENSIONS, help="of its vectors")
        create.add_argument("--chunk-characters", type=int, default=900, metavar="N")
        create.add_argument("--data-policy", choices=DataPolicy.values, default="")
        _add_settings(create)
        change = self._add("change", self.change, "its engine, its graph, who reads its scanned pages")
        _add_settings(change)
        change.add_argument("--as", dest="user", metavar="EMAIL", help="who pays for vectors of a new index")
        add = self._add("add", self.add, "bring files, folders (with what is below them) or web pages")
        add.add_argument("sources", nargs="+", metavar="PATH-OR-URL")
        add.add_argument("--recrawl-days", type=int, metavar="N", help="look at web pages again")
        add.add_argument(
            "--as", dest="user", metavar="EMAIL", help="whose they are, and who pays for vectors"
        )
        self._add("list", self.list, "show all shared collections", has_name=False)
        self._add("show", self.show_one, "how far one is, and which documents failed")
        search = self._add("search", self.search, "passages found by words")
        search.add_argument("question")
        search.add_argument("--count", type=int, default=5, metavar="N")
        relate = self._add(
            "relate", self.relate, "have a chat model read relations; first what it would cost"
        )
        relate.add_argument("--as", dest="user", metavar="EMAIL", required=True, help="who orders and pays")
        relate.add_argument("--model", help="from now on this one")
        relate.add_argument(
            "--cap", type=Decimal, metavar="N", help="in the tenant's currency; passages, of a free model"
        )
        relate.add_argument("--yes", action="store_true", help="order what is shown without it")
        rebuild = self._add("rebuild", self.rebuild, "index it anew, as its settings are now")
        rebuild.add_argument("--as", dest="user", metavar="EMAIL", help="who pays for vectors")
        delete = self._add("delete", self.delete, "remove it with its documents and their files")
        delete.add_argument("--yes", action="store_true", help="needed: it cannot be undone")

    def _add(self, name: str, run, help_text: str, *, has_name: bool = True):
        parser = self.add_action(name, run, help_text)
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        if has_name:
            parser.add_argument("name", metavar="COLLECTION", help="its name or id")
        return parser

    def create(self, options) -> None:
        columns = {
            name: options[name]
            for name in ("embedding_model", "dimensions", "chunk_characters", "data_policy")
        }
        columns |= _settings_of(options)
        if options["language"]:
            columns["languages"] = options["language"]
        with _inside(options):
            row = services.create_collection(actor=None, name=options["name"], **columns)
            self.show(_describe(row), str(row.pk))

    def change(self, options) -> None:
        """What changes its index has a new one made, beside the one that answers until then."""
        with _inside(options), transaction.atomic():
            row, person = _find(options["name"]), _find_person(options)
            needs_index = change_collection(actor=person, collection=row, **_settings_of(options))
            row.refresh_from_db()
            if needs_index and row.documents.exists():
                rebuild_collection(actor=person, collection=row)
            self.show(_describe(row), f"Collection {row.name} is changed.")

    def add(self, options) -> None:
        """A file that is refused is told of, and the others are brought."""
        told, is_refused = [], False
        with _inside(options):
            collection, person = _find(options["name"]), _find_person(options)
            for source, address in _list_sources(options["sources"]):
                try:
                    document, is_new = _bring(collection, person, source, address, options["recrawl_days"])
                except AtriumError as exc:
                    is_refused = True
                    told.append({"source": address, "state": "refused", "reason": str(exc.message)})
                    continue
                told.append({"source": address, "id": document.pk, "state": "new" if is_new else "known"})
        self.show(told)
        if is_refused:
            raise InvalidInput("Not all of it was taken.")

    def list(self, options) -> None:
        with _inside(options):
            rows = Collection.objects.filter(owner_id=None, conversation_id=None)
            self.show([_describe(row) for row in rows])

    def show_one(self, options) -> None:
        with _inside(options):
            row = _find(options["name"])
            failed = row.documents.filter(state="failed")
            told = _describe(row) | {
                "failed": [{"document": str(one), "reason": one.why} for one in failed[:100]]
            }
            self.show(told)

    def search(self, options) -> None:
        with _inside(options):
            row = _find(options["name"])
            here = Collection.objects.filter(pk=row.pk)
            question = Question(options["question"], here, count=options["count"])
            hits = engine_named(find_answering(row)).search(question)
        self.show([{"score": round(hit.score, 3), "document": hit.title, "text": hit.text} for hit in hits])

    def relate(self, options) -> None:
        """Without --yes it is a preview alone."""
        with _inside(options):
            row, person = _find(options["name"]), get_user_by_email(options["user"])
            if options["model"] is not None:
                check_reader(person, options["model"], row.data_policy)
                change_collection(actor=person, collection=row, relations_model=options["model"])
                row.refresh_from_db()
            seen = relating.preview(person, row)
            if options["yes"]:
                cap = seen.suggested_cap if options["cap"] is None else options["cap"]
                relating.order_relations(actor=person, collection=row, seen=seen, cap=cap)
            self.show(_describe_relations(seen, relating.describe(row)))

    def rebuild(self, options) -> None:
        with _inside(options):
            row = _find(options["name"])
            rebuild_collection(actor=_find_person(options), collection=row)
            self.show(_describe(row), f"Collection {row.name} is being indexed anew.")

    def delete(self, options) -> None:
        with _inside(options):
            row = _find(options["name"])
            if not options["yes"]:
                count = row.documents.count()
                raise InvalidInput(f"{row.name} holds {count} documents. Say --yes to remove all of them.")
            services.delete_collection(actor=None, collection=row)
            self.show({"deleted": options["name"]}, f"Collection {options['name']} is gone.")


def _add_settings(parser) -> None:
    parser.add_argument("--engine", choices=Collection.Engine.values, help="who reads and searches it")
    parser.add_argument(
        "--graph",
        dest="uses_graph",
        action=BooleanOptionalAction,
        help="also find passages with the names that the best ones have",
    )
    parser.add_argument("--vision-model", metavar="MODEL", help="reads scanned pages and pictures; '': none")
    parser.add_argument(
        "--page-reader",
        choices=Collection.PageReader.values,
        help="automatic: tesseract where it is, else the vision model",
    )
    parser.add_argument("--vision-pages", type=int, metavar="N", help="of a document, at most (50)")


def _settings_of(options) -> dict:
    names = ("engine", "uses_graph", "vision_model", "page_reader", "vision_pages")
    return {name: options[name] for name in names if options[name] is not None}


@contextmanager
def _inside(options) -> Iterator[None]:
    with platform():
        slug = get_tenant(options["tenant"]).slug
    with tenant(slug):
        yield


def _find(name: str) -> Collection:
    rows = Collection.objects.filter(owner_id=None, conversation_id=None)
    row = rows.filter(name=name).first() or next((one for one in rows if str(one.pk) == name), None)
    if row is None:
        raise NotFound(f"There is no shared collection “{name}”.")
    return row


def _find_person(options) -> User | None:
    return get_user_by_email(options["user"]) if options["user"] else None


def _list_sources(sources: list[str]) -> Iterator[tuple[Path | str, str]]:
    """Each with the name by which its versions belong together: of a file in a folder, its path there."""
    for source in sources:
        path = Path(source)
        if "://" in source:
            yield source, source
        elif path.is_dir():
            for one in sorted(path.rglob("*")):
                below = one.relative_to(path)
                if one.is_file() and not any(part.startswith(".") for part in below.parts):
                    yield one, str(below)
        elif path.is_file():
            yield path, path.name
        else:
            raise InvalidInput(f"There is no file or folder {source}.")


def _bring(
    collection: Collection, person: User | None, source: Path | str, address: str, recrawl_days: int | None
):
    if isinstance(source, str):
        return add_url(actor=person, collection=collection, url=source, recrawl_days=recrawl_days)
    with source.open("rb") as content:
        return add_content(
            actor=person,
            collection=collection,
            pieces=iter(lambda: content.read(PIECE_BYTES), b""),
            size_bytes=source.stat().st_size,
            name=source.name,
            address=address,
        )


def _describe(row: Collection) -> dict:
    told = describe_collection(row)
    return {
        "id": row.pk,
        "name": row.name,
        "engine": row.engine,
        "uses_graph": row.uses_graph,
        "vision_model": row.vision_model,
        "page_reader": row.page_reader,
        "vision_pages": row.vision_pages,
        "documents": told.document_counts,
        "passages": told.chunk_count,
        "vectors": told.vector_count,
        "complete": told.is_complete,
        "problem": told.problem,
    }


def _describe_relations(seen: relating.Preview, state: relating.State) -> dict:
    return {
        "model": seen.model,
        "passages_to_read": seen.passage_count,
        "input_tokens": seen.input_tokens,
        "output_tokens": seen.output_tokens,
        "cost": seen.cost,
        "currency": seen.currency,
        "suggested_cap": seen.suggested_cap,
        "cap_in": "money" if seen.is_in_money else "passages",
        "order": state.state,
        "passages_read": state.counts.read_count,
        "relations": state.counts.relation_count,
        "problem": seen.problem or state.why,
    }
