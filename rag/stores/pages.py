"""One page of a list, by OpenAI's cursors."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from rag.models import Document
from rag.stores.bodies import ListQuery
from rag.stores.ids import FILE, STORE, read_id

M = TypeVar("M", bound=Model)


def page_of_stores(rows: QuerySet[M], query: ListQuery) -> tuple[list[M], bool]:
    """And whether there are more. Ids are in the order of making, so that one that is gone has its place."""
    column, at = "pk", None
    if cursor := query.after or query.before:
        at = _read_cursor(cursor, STORE, query)
    return _page(rows, query, column, at)


def page_of_files(rows: QuerySet[Any], query: ListQuery) -> tuple[list[Document], bool]:
    """The same for `list_files`. The place of a file that was removed meanwhile is guessed by its own id."""
    if not (cursor := query.after or query.before):
        return _page(rows, query, "pk", None)
    at = _read_cursor(cursor, FILE, query)
    known = rows.filter(shown_id=at).values_list("pk", flat=True).first()
    return _page(rows, query, "shown_id" if known is None else "pk", known or at)


def _read_cursor(text: str, prefix: str, query: ListQuery) -> UUID:
    pk = read_id(text, prefix)
    if pk is None:
        param = "after" if query.after else "before"
        told = _("“%(name)s” must be the id of an entry of this list.") % {"name": param}
        raise InvalidInput(told, param=param, code="invalid_value")
    return pk


def _page(rows: QuerySet[Any], query: ListQuery, column: str, at: UUID | None) -> tuple[list[Any], bool]:
    """What stands right before `before` is read from there, and turned round."""
    is_down = (query.order == "desc") != bool(query.before)
    if at is not None:
        rows = rows.filter(**{f"{column}__{'lt' if is_down else 'gt'}": at})
    found = list(rows.order_by(f"{'-' if is_down else ''}{column}")[: query.limit + 1])
    page, has_more = found[: query.limit], len(found) > query.limit
    return (page[::-1] if query.before else page), has_more
