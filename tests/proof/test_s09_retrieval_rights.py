"""S09: what a person may not read is neither found nor shown: a model of the rights of use beside the rights,
through random histories of grants, refusals, roles, projects, people that are locked out, and documents that
go.

After each step what somebody finds is exactly what the model says: by searching (whatever collections they
ask for), in lists, passage by passage, and where an answer's places are read anew. What was taken back holds
for the next statement: nothing is remembered between two.
Pages, downloads, `/v1/vector_stores` and answers ask the same selectors; that they do is in
`tests/rag/test_faces.py`, `test_stores.py` and `tests/prompts/test_knowledge.py`. Does not cover: calls under
way (S10).
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant, Project, User
from accounts.services import create_project, create_user
from accounts.services.grants import grant, revoke_grant
from foundation.errors import NotFound
from rag import searching, selectors
from rag.context import fill, read_again, read_whole
from rag.engines import Question
from rag.engines.pgvector import generations, search
from rag.models import Chunk, Collection, Document
from rag.selectors import get_visible_chunk, list_visible_collections, list_visible_documents
from rag.services import add_document, create_collection, delete_document, index_documents
from tenants.context import tenant
from tests.rag.conftest import MODEL, axis, paragraph

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(3_600)]
NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
COLLECTIONS, DOCUMENTS, PEOPLE, STEPS = (50, 10, 20, 1_000) if NIGHT else (8, 2, 4, 12)
SEEDS = range(3) if NIGHT else range(1)
ASKED = 8  # collections at once: fewer documents than a search may give
WORD = "lighthouse"


@dataclass
class World:
    """Everything that is there, and what the model knows of it."""

    people: list[User]
    groups: list[Group]
    projects: list[Project | None]
    collections: list[Collection]
    documents: dict[UUID, set[UUID]]  # collection → what is in it
    foreign: list[UUID]  # another tenant's collections
    roles: dict[UUID, set[int]] = field(default_factory=dict)  # person → groups
    effects: dict[tuple[UUID, tuple], str] = field(default_factory=dict)  # (collection, holder) → effect
    locked: set[UUID] = field(default_factory=set)

    def may_read(self, person: User, project: Project | None, row: Collection) -> bool:
        """The rule, said anew: refused is refused; where nobody is named, everybody may; a person's own is
        theirs alone.
        """
        if person.pk in self.locked:
            return False
        if row.owner_id is not None:
            return row.owner_id == person.pk
        mine = {("user", person.pk), *(("role", one) for one in self.roles.get(person.pk, ()))}
        if project is not None:
            mine.add(("project", project.pk))
        said = {holder: effect for (pk, holder), effect in self.effects.items() if pk == row.pk}
        if any(said.get(holder) == "deny" for holder in mine):
            return False
        allowed = {holder for holder, effect in said.items() if effect == "allow"}
        return not allowed or bool(allowed & mine)

    def readable(self, person: User, project: Project | None) -> set[UUID]:
        """The documents that somebody may read."""
        rows = (row for row in self.collections if self.may_read(person, project, row))
        return set().union(*(self.documents[row.pk] for row in rows))


def write_documents(row: Collection, count: int) -> set[UUID]:
    parsed = {}
    for number in range(count):
        text = f"The {WORD} {number} of {row.name} stands at the harbour {number}."
        document, _is_new = add_document(
            actor=None, collection=row, title=f"{row.name} {number}", content_hash=f"{number:064x}"
        )
        parsed[document] = [paragraph(text), paragraph(f"Its keeper {number} sleeps.")]
    index_documents(collection=row, parsed=parsed)
    return {document.pk for document in parsed}


@pytest.fixture
def world(db) -> World:
    people = [
        create_user(actor=None, email=f"s09-{number}@acme.example", name=f"S09 {number}")
        for number in range(PEOPLE)
    ]
    owners = [None, None, None, people[0].pk, people[1].pk]
    rows = [
        create_collection(actor=None, name=f"S09 {number}", languages=["en"], owner_id=owners[number % 5])
        for number in range(COLLECTIONS)
    ]
    with tenant("globex"):
        theirs = create_collection(actor=None, name="S09 foreign", languages=["en"])
        write_documents(theirs, DOCUMENTS)
    return World(
        people,
        [Group.objects.create(name=f"s09-{number}") for number in range(3)],
        [None, *(create_project(actor=None, name=f"S09 {number}") for number in range(2))],
        rows,
        {row.pk: write_documents(row, DOCUMENTS) for row in rows},
        [theirs.pk],
    )


# -- steps ---------------------------------------------------------------------------------------------------


def pick_holder(world: World, dice: random.Random) -> tuple[str, Group | Project | User]:
    kind = dice.choice(["role", "project", "user", "user"])
    pools = {"role": world.groups, "project": world.projects[1:], "user": world.people}
    return kind, dice.choice(pools[kind])


def give(world: World, dice: random.Random) -> str:
    kind, holder = pick_holder(world, dice)
    row = dice.choice([one for one in world.collections if one.owner_id is None])
    effect = dice.choice(["allow", "deny"])
    grant(actor=None, kind="collection", target=row.pk, effect=effect, **{kind: holder})
    world.effects[row.pk, (kind, holder.pk)] = effect
    return f"{effect} {row} to {kind} {holder}"


def take_back(world: World, dice: random.Random) -> str:
    rows = list(Grant.objects.filter(kind="collection").order_by("pk"))
    if not rows:
        return give(world, dice)
    row = dice.choice(rows)
    kind = "role" if row.role_id else "project" if row.project_id else "user"
    del world.effects[row.object_id, (kind, getattr(row, f"{kind}_id"))]
    revoke_grant(actor=None, grant=row)
    return f"take back {kind} of {row.object_name}"


def change_roles(world: World, dice: random.Random) -> str:
    person, group = dice.choice(world.people), dice.choice(world.groups)
    has = world.roles.setdefault(person.pk, set())
    is_in = group.pk in has
    (person.groups.remove if is_in else person.groups.add)(group)
    (has.discard if is_in else has.add)(group.pk)
    return f"{person} {'leaves' if is_in else 'joins'} {group}"


def lock(world: World, dice: random.Random) -> str:
    person = dice.choice(world.people)
    world.locked ^= {person.pk}
    User.objects.filter(pk=person.pk).update(is_active=person.pk not in world.locked)
    return f"{person} is {'locked out' if person.pk in world.locked else 'let in again'}"


def remove_one(world: World, dice: random.Random) -> str:
    row = dice.choice(world.collections)
    if len(world.documents[row.pk]) < 2:
        return give(world, dice)
    key = dice.choice(sorted(world.documents[row.pk]))
    delete_document(actor=None, document=Document.objects.get(pk=key))
    world.documents[row.pk].discard(key)
    return f"delete {key}"


ACTIONS: list[Callable[[World, random.Random], str]] = [
    *[give] * 5,
    *[take_back] * 4,
    *[change_roles] * 3,
    lock,
    remove_one,
]


# -- what somebody sees --------------------------------------------------------------------------------------


def list_differences(world: World, dice: random.Random) -> list[str]:
    """Where what a person finds is not what the model says."""
    person, project = dice.choice(world.people), dice.choice(world.projects)
    person = User.objects.get(pk=person.pk)
    readable, project_id = world.readable(person, project), project.pk if project else None
    asked = dice.sample(world.collections, min(ASKED, len(world.collections)))
    wanted = readable & set().union(*(world.documents[row.pk] for row in asked))
    ids = [*(row.pk for row in asked), *world.foreign, uuid4()]
    found = searching.search_now(person, WORD, collections=ids, project_id=project_id, count=100, leg="words")
    seen = {
        "a search finds": ({hit.document_id for hit in found.hits}, wanted),
        "a list shows": (
            set(list_visible_documents(person, project_id).values_list("pk", flat=True)),
            readable,
        ),
        "whole documents": (
            {
                one.document_id
                for one in read_whole(list_visible_documents(person, project_id), list_some(world))
            },
            readable & set(list_some(world)),
        ),
    }
    chunk = dice.choice(list(Chunk.objects.order_by("pk").values_list("pk", "document_id")))
    try:
        get_visible_chunk(person, chunk[0], project_id)
        seen["a passage"] = ({chunk[1]}, readable & {chunk[1]})
    except NotFound:
        seen["a passage"] = (set(), readable & {chunk[1]})
    seen |= read_places(world, dice, person, project_id, readable)
    return [
        f"{person} in {project}: {what} {len(got - right)} too many, {len(right - got)} too few"
        for what, (got, right) in seen.items()
        if got != right
    ]


def list_some(world: World) -> list[UUID]:
    return [min(keys) for keys in world.documents.values()][:ASKED]


def read_places(
    world: World, dice: random.Random, person: User, project_id: UUID | None, readable: set[UUID]
) -> dict[str, tuple[set, set]]:
    """Places that the house found, as an answer keeps them, read for this person."""
    rows = dice.sample(world.collections, 2)
    with_all = list_visible_collections(None)
    hits = search.search(
        Question(WORD, with_all.filter(pk__in=[row.pk for row in rows]), count=10, leg="words")
    )
    given = fill(with_all, hits, 10_000)
    texts = read_again(list_visible_documents(person, project_id), [one.reference for one in given])
    got = {one.document_id for one, text in zip(given, texts, strict=True) if text is not None}
    return {"a place of an answer": (got, readable & {one.document_id for one in given})}


def walk(world: World, seed: int, steps: int = STEPS) -> list[str]:
    dice, history = random.Random(seed), []
    for _step in range(steps):
        history.append(dice.choice(ACTIONS)(world, dice))
        for _look in range(2):
            if found := list_differences(world, dice):
                return [f"seed {seed}, step {len(history)}, after “{history[-1]}”", *found]
    return []


@pytest.mark.parametrize("seed", SEEDS)
def test_what_somebody_finds_is_what_they_may_read(world, seed):
    assert walk(world, seed) == []
    print(f"\nS09: {COLLECTIONS * DOCUMENTS} documents, {PEOPLE} people, {STEPS} changes: 0 foreign passages")


def test_each_statement_of_a_search_carries_the_rights(alice, bob):
    """What may not be read is not ranked, by words or by vectors, and counts in no statistic."""
    of_all, closed = (
        create_collection(actor=None, name=name, languages=["en"], embedding_model=MODEL, dimensions=384)
        for name in ("Of all", "Closed")
    )
    for row in (of_all, closed):
        write_documents(row, 2)
        for chunk in Chunk.objects.filter(document__collection=row):
            generations.keep_vectors(chunk.generation_id, [(chunk.pk, axis(1))])
    grant(actor=None, kind="collection", target=closed.pk, user=alice)
    with CaptureQueriesContext(connection) as queries:
        hits = search.search(Question(WORD, list_visible_collections(bob), {MODEL: axis(1)}))
    tables = ("rag_chunk", "rag_posting", "rag_vector", "rag_document")
    asked = [one["sql"] for one in queries if any(table in one["sql"] for table in tables)]
    assert len(asked) >= 3 and all("accounts_grant" in text for text in asked)
    assert hits and {hit.collection_id for hit in hits} == {of_all.pk}
    assert [hit.similarity for hit in hits] == pytest.approx([1.0] * len(hits))


# -- planted bugs --------------------------------------------------------------------------------------------


def only_refusals(kind: str, user: User, project_id: UUID):
    rows = Grant.objects.filter(kind=kind, effect="deny", user=user)
    return rows.values_list("object_id", flat=True)


def for_all_projects(real, kind: str, user: User, project_id: UUID):
    return real(kind, user, UUID(int=0))


def remembered(kept: dict, user: User | None, project_id: UUID | None = None):
    """Rights that are asked once."""
    key = (user and user.pk, project_id)
    if key not in kept:
        kept[key] = list(list_visible_collections(user, project_id).values_list("pk", flat=True))
    return Collection.objects.filter(pk__in=kept[key])


def own_are_everybodys(user: User | None, project_id: UUID | None = None):
    return Collection.objects.exclude(owner_id=None) | list_visible_collections(user, project_id)


BUGS = {
    "no right is asked": (
        selectors,
        "list_closed_objects",
        lambda *_about: Grant.objects.none().values("pk"),
    ),
    "who is not named is let in": (selectors, "list_closed_objects", only_refusals),
    "rights of a project are forgotten": (
        selectors,
        "list_closed_objects",
        partial(for_all_projects, selectors.list_closed_objects),
    ),
    "rights are asked once": (searching, "list_visible_collections", partial(remembered, {})),
    "what is one person's own is searched by all": (
        searching,
        "list_visible_collections",
        own_are_everybodys,
    ),
}


def test_planted_bugs_rights_that_are_not_asked_are_found_out(world):
    for number, (name, bug) in enumerate(BUGS.items()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*bug)
            assert walk(world, number, steps=60), name
