"""Stores themselves: made, listed, changed, deleted, searched."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from accounts.models import User
from foundation.errors import AtriumError, InvalidInput, NotFound
from foundation.ids import uuid7
from foundation.told import gettext as _
from gateway.files.views import counted
from gateway.request import Request
from gateway.routes import route
from gateway.steps.lookup import list_visible_routes
from gateway.vectors import embed
from models_registry.kinds import ModelKind
from models_registry.routes import is_allowed
from rag.changes import change_collection
from rag.models import DIMENSIONS, Collection, Language
from rag.services import create_collection, delete_collection
from rag.stores.access import get_store, list_stores, step
from rag.stores.bodies import (
    ListQuery,
    WantedFile,
    check,
    read_body,
    read_chunking,
    read_files,
    read_pairs,
    read_text,
    refuse_expiry,
    wrong,
)
from rag.stores.files import add_files
from rag.stores.ids import store_id
from rag.stores.pages import page_of_stores
from rag.stores.shapes import show_list, show_stores

MOST_NAME, MOST_DESCRIPTION = 120, 500
CREATED = ("name", "description", "file_ids", "expires_after", "chunking_strategy", "metadata")
OWN_FIELDS = ("embedding_model", "languages")  # ours
CHANGED = ("name", "description", "expires_after", "metadata")
SAME_NAMES = 1_000


@route("POST", "vector_stores")
async def create_store(request: Request) -> None:
    async with counted(request) as headers:
        body = await read_body(request, (*CREATED, *OWN_FIELDS))
        columns = _read_columns(body)
        columns |= _read_languages(body)
        if (characters := read_chunking(body)) is not None:
            columns["chunk_characters"] = max(characters, 200)
        files = [replace(file, characters=None) for file in read_files(body)]
        model, dimensions = await _choose_model(request, body)
        columns |= {"embedding_model": model, "dimensions": dimensions}
        # a key's project says where the texts may go, whoever embeds them later
        columns["data_policy"] = request.snapshot.project_policies.get(request.principal.project_id, "")
        shown = await step(request, _create, columns, files)
        await request.answer(orjson.dumps(shown), headers)


def _read_columns(body: dict[str, Any]) -> dict[str, Any]:
    """What a store is called and notes. Raises InvalidInput."""
    refuse_expiry(body)
    columns: dict[str, Any] = {
        "name": read_text(body, "name", MOST_NAME),
        "description": read_text(body, "description", MOST_DESCRIPTION),
    }
    if "metadata" in body:
        columns["metadata"] = read_pairs(body, "metadata", only_texts=True)
    return {name: value for name, value in columns.items() if value is not None}


def _read_languages(body: dict[str, Any]) -> dict[str, Any]:
    check(body, "languages", list)
    given = body.get("languages")
    if given is None:
        return {}
    if not given or len(set(map(str, given))) < len(given) or not set(map(str, given)) <= {*Language.values}:
        names = ", ".join(Language.values)
        raise wrong("languages", _("must be one or some of: %(names)s") % {"names": names})
    return {"languages": given}


async def _choose_model(request: Request, body: dict[str, Any]) -> tuple[str, int | None]:
    """The embedding model, and the length of its vectors: the one that is named (“”: by words alone), else
    the first that the caller may use and that answers. Raises InvalidInput.
    """
    check(body, "embedding_model", str)
    asked = body.get("embedding_model")
    if asked == "":
        return "", None
    policy = request.snapshot.policy_of(request.principal)
    known = [
        one.name
        for one in list_visible_routes(request.principal, request.snapshot)
        if one.kind == ModelKind.EMBEDDING
        and any(is_allowed(target.endpoint, policy) for target in one.targets)
    ]
    if asked is not None and asked not in known:
        told = _("There is no embedding model “%(name)s”, or you have no access to it. There are: %(names)s")
        raise InvalidInput(
            told % {"name": asked[:100], "names": ", ".join(known) or "–"},
            code="model_not_found",
            param="embedding_model",
        )
    for name in [asked] if asked is not None else known:
        try:
            size = await _measure(request, name)
        except AtriumError:
            if asked is not None:
                raise
            continue
        if size in DIMENSIONS:
            return name, size
        if asked is not None:
            told = _("This model gives vectors of %(size)d numbers; these can be kept: %(sizes)s.")
            sizes = ", ".join(map(str, DIMENSIONS))
            raise InvalidInput(told % {"size": size, "sizes": sizes}, param="embedding_model")
    return "", None


async def _measure(request: Request, name: str) -> int:
    """The length of a model's vectors: as other collections know it, or as it answers."""
    known = await step(request, _find_dimensions, name)
    if known is not None:
        return known
    vectors = await embed(request.principal, name, ["Atrium"], source="knowledge", gateway=request.gateway)
    return len(vectors[0])


def _find_dimensions(_user: User, _project_id: UUID, name: str) -> int | None:
    return Collection.objects.filter(embedding_model=name).values_list("dimensions", flat=True).first()


def _create(user: User, project_id: UUID, columns: dict[str, Any], files: list[WantedFile]) -> dict[str, Any]:
    pk = uuid7()
    name = columns.pop("name", "") or store_id(pk)
    row = create_collection(actor=user, id=pk, name=_free_name(user, name), owner_id=user.pk, **columns)
    for refusal in add_files(user, row, files).refused:
        raise refusal
    return show_stores([row])[0]


def _free_name(user: User, name: str) -> str:
    """Stores may be called alike at OpenAI; a person's collections may not."""
    taken = set(
        Collection.objects.filter(
            owner_id=user.pk, conversation_id=None, name__startswith=name[:100]
        ).values_list("name", flat=True)[:SAME_NAMES]
    )
    if name not in taken:
        return name
    return next(
        free
        for number in range(2, SAME_NAMES + 3)
        if (free := f"{name[: MOST_NAME - 7]} ({number})") not in taken
    )


@route("GET", "vector_stores")
async def list_all(request: Request) -> None:
    query = ListQuery(request.scope["query_string"])
    await request.answer(orjson.dumps(await step(request, _list, query)))


def _list(user: User, project_id: UUID, query: ListQuery) -> dict[str, Any]:
    rows, has_more = page_of_stores(list_stores(user, project_id), query)
    return show_list(show_stores(rows), has_more)


@route("GET", "vector_stores/{vector_store_id}")
async def show_one(request: Request, vector_store_id: str) -> None:
    await request.answer(orjson.dumps(await step(request, _show, vector_store_id)))


def _show(user: User, project_id: UUID, text: str) -> dict[str, Any]:
    return show_stores([get_store(user, project_id, text)])[0]


@route("POST", "vector_stores/{vector_store_id}")
async def change_store(request: Request, vector_store_id: str) -> None:
    async with counted(request) as headers:
        body = await read_body(request, CHANGED)
        columns = _read_columns(body)
        if columns.get("name") == "":
            raise wrong("name", _("must have a character at least"))
        shown = await step(request, _change, vector_store_id, columns)
        await request.answer(orjson.dumps(shown), headers)


def _change(user: User, project_id: UUID, text: str, columns: dict[str, Any]) -> dict[str, Any]:
    row = get_store(user, project_id, text)
    change_collection(actor=user, collection=row, **columns)
    row.refresh_from_db()
    return show_stores([row])[0]


@route("DELETE", "vector_stores/{vector_store_id}")
async def delete_store(request: Request, vector_store_id: str) -> None:
    async with counted(request) as headers:
        shown = await step(request, _delete, vector_store_id)
        await request.answer(orjson.dumps(shown), headers)


def _delete(user: User, project_id: UUID, text: str) -> dict[str, Any]:
    row = get_store(user, project_id, text)
    shown = {"id": store_id(row.pk), "object": "vector_store.deleted", "deleted": True}
    try:
        delete_collection(actor=user, collection=row)
    except Collection.DoesNotExist as exc:
        raise NotFound(_("There is no such collection.")) from exc
    return shown
