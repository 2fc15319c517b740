"""What the hot path must know, kept in memory: per tenant its door, limits, models, rights of use, keys and
people. Loaded on first use; no ORM call per request.

Freshness: a NOTIFY drops the entry at once. While the listener is not proven to hear (gateway.listener), an
entry lives 1 s.
Guards against: a flood of unknown slugs or keys (misses are remembered for 1 s, tenants.context bounds each
schema's loads); one tenant's load serving another.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.grants import ObjectGrants, load_grants
from accounts.objects import MODEL
from accounts.selectors import (
    MAKER,
    LimitFacts,
    PersonFacts,
    find_key_facts,
    find_person_facts,
    get_auto_models,
    get_default_project_id,
    get_project_policies,
    list_shared_limits,
)
from foundation.errors import Unavailable
from foundation.told import gettext as _
from gateway.bounds import Bound, Bounds
from gateway.calls import Principal
from models_registry.routes import Candidate, Endpoint, Route
from models_registry.selectors import list_routes
from tenants.context import in_platform, in_tenant
from tenants.data_policy import DataPolicy, strictest
from tenants.doors.hosts import DoorState, KnownTenant, find_tenant_by_slug, forget
from tenants.models import Plan
from tenants.selectors import get_plan

MAX_TENANTS = 1_000
MAX_KEYS = 10_000
UNPROVEN_TIME_TO_LIVE_S = 1.0
PROVEN_TIME_TO_LIVE_S = 60.0  # a belt beside the braces: no entry outlives it
MISS_TIME_TO_LIVE_S = 1.0
LOAD_TIMEOUT_S = 10
NIL = UUID(int=0)
PLAN = "plan"
LEVELS = {MAKER: "key"}  # as counters say it, which makers share with the keys that they made


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the hot path needs it; its principal is made once."""

    digest: bytes
    is_in_force: bool  # neither revoked, nor its person kept out
    expires_at: datetime | None
    scopes: frozenset[str]
    principal: Principal

    @property
    def is_usable(self) -> bool:
        return self.is_in_force and (self.expires_at is None or self.expires_at > datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who calls without a key, in the chat."""

    tenant: str
    id: UUID
    facts: PersonFacts
    bounds: Bounds

    @property
    def is_active(self) -> bool:
        return self.facts.is_active

    def is_member(self, project_id: UUID) -> bool:
        return project_id in self.facts.project_ids

    def act_on(self, project_id: UUID) -> Principal:
        """The person as a caller whose calls are booked on this project."""
        return Principal(
            tenant=self.tenant,
            user_id=self.id,
            project_id=project_id,
            group_ids=self.facts.group_ids,
            bounds=self.bounds,
        )


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What is read in a tenant's own tables; nothing while it is closed."""

    routes: dict[str, Route] = field(default_factory=dict)
    project_id: UUID = NIL  # of the default project
    grants: dict[UUID, ObjectGrants] = field(default_factory=dict)  # by model; without an entry: everybody
    limits: tuple[LimitFacts, ...] = ()
    project_policies: dict[UUID, str] = field(default_factory=dict)
    auto_models: dict[UUID, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class TenantSnapshot:
    slug: str
    door: DoorState
    bounds: Bounds  # of the organisation and of its plan
    project_bounds: dict[UUID, Bounds]
    model_bounds: dict[UUID, Bounds]
    project_id: UUID
    routes: dict[str, Route]  # by name and by alias
    grants: dict[UUID, ObjectGrants]
    loaded_s: float
    largest_file_bytes: int | None = None  # as the plan says; None: what each place takes
    data_policy: str = DataPolicy.ANYWHERE
    project_policies: dict[UUID, str] = field(default_factory=dict)  # of those that have one
    auto_models: dict[UUID, tuple[str, ...]] = field(default_factory=dict)  # by project, where it names some
    endpoints: dict[UUID, Endpoint] = field(default_factory=dict)
    # by a model's name and a policy of data, of models without stand-ins: found once
    candidates: dict[tuple[str, str], tuple[Candidate, ...]] = field(default_factory=dict)
    keys: OrderedDict[str, tuple[float, Key | None]] = field(default_factory=OrderedDict)
    people: OrderedDict[UUID, tuple[float, Person | None]] = field(default_factory=OrderedDict)

    def policy_of(self, principal: Principal) -> str:
        """Where the data of a call may go: as its organisation, its project and what is read for it say."""
        of_project = self.project_policies.get(principal.project_id, "")
        return strictest(self.data_policy, of_project, principal.data_policy)

    def auto_models_of(self, principal: Principal) -> tuple[str, ...]:
        """The models among which “auto” chooses, in their order; none: by price."""
        named = self.auto_models.get(principal.project_id)
        return named or self.auto_models.get(self.project_id, ())

    def newest(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint by what is known now; as it was where no model leads there any more."""
        return self.endpoints.get(endpoint.id, endpoint)

    def bounds_of(self, principal: Principal, route: Route | None) -> Bounds:
        """All limits that bind a call."""
        bounds = principal.bounds + self.project_bounds.get(principal.project_id, ()) + self.bounds
        return bounds + self.model_bounds.get(route.model_id, ()) if route is not None else bounds


class Snapshots:
    """The process's memory of tenants. `is_proven` tells whether the listener hears."""

    def __init__(self, is_proven: Callable[[], bool] = lambda: False) -> None:
        self._tenants: OrderedDict[str, TenantSnapshot] = OrderedDict()
        self._misses: OrderedDict[str, float] = OrderedDict()
        self._loading: dict[Any, asyncio.Task] = {}
        # notifications heard: one that comes during a load must keep its result from being stored
        self._changes = 0
        self.is_proven = is_proven

    def _is_fresh(self, loaded_s: float) -> bool:
        return time.monotonic() - loaded_s < (
            PROVEN_TIME_TO_LIVE_S if self.is_proven() else UNPROVEN_TIME_TO_LIVE_S
        )

    async def find(self, slug: str) -> TenantSnapshot | None:
        """The tenant's snapshot, or None if there is no such tenant. Raises Unavailable if the database does
        not answer.
        """
        snapshot = self._tenants.get(slug)
        if snapshot is not None and self._is_fresh(snapshot.loaded_s):
            return snapshot
        if time.monotonic() - self._misses.get(slug, -1e9) < MISS_TIME_TO_LIVE_S:
            return None
        return await self._load_once(slug, lambda: self._load_tenant(slug))

    async def find_key(self, snapshot: TenantSnapshot, key_id: str) -> Key | None:
        """The key with this id, or None. Misses are remembered for a moment."""
        found = snapshot.keys.get(key_id)
        if found is not None and self._is_believed(*found):
            return found[1]
        return await self._load_once((snapshot.slug, key_id), lambda: self._load_key(snapshot, key_id))

    async def find_person(self, snapshot: TenantSnapshot, user_id: UUID) -> Person | None:
        """The person with this id, kept out or not, or None."""
        found = snapshot.people.get(user_id)
        if found is not None and self._is_believed(*found):
            return found[1]
        return await self._load_once((snapshot.slug, user_id), lambda: self._load_person(snapshot, user_id))

    def _is_believed(self, loaded_s: float, what: Any) -> bool:
        return self._is_fresh(loaded_s) if what else time.monotonic() - loaded_s < MISS_TIME_TO_LIVE_S

    async def _load_once(self, what: Any, load: Callable[[], Awaitable[Any]]) -> Any:
        """Run one load for all who wait for it; a waiter that is cancelled does not cancel the others'."""
        task = self._loading.get(what)
        if task is None:
            task = self._loading[what] = asyncio.create_task(self._load_bounded(load))
            task.add_done_callback(
                lambda done: self._loading.pop(what) if self._loading.get(what) is done else None
            )
        return await asyncio.shield(task)

    async def _load_bounded(self, load: Callable[[], Awaitable[Any]]) -> Any:
        from django.db import Error as DatabaseError

        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                return await load()
        except (DatabaseError, TimeoutError) as exc:
            raise Unavailable(
                _("The database does not answer. Try again in a moment."), retry_after_s=2
            ) from exc

    async def _load_tenant(self, slug: str) -> TenantSnapshot | None:
        started_s, changes = time.monotonic(), self._changes
        door, plan = await in_platform(_read_door, slug)
        if door is None or plan is None:
            self._tenants.pop(slug, None)
            if changes == self._changes:
                self._misses[slug] = started_s
            while len(self._misses) > MAX_KEYS:
                self._misses.popitem(last=False)
            return None
        is_open = door.state == DoorState.OPEN
        facts = await in_tenant(slug, _read_tenant, door.plan_id, door.currency) if is_open else TenantFacts()
        snapshot = _make_snapshot(door, plan, facts, started_s)
        previous = self._tenants.get(slug)
        if previous is not None:
            snapshot.keys = previous.keys
            snapshot.people = previous.people
        if changes != self._changes:
            return snapshot
        self._tenants[slug] = snapshot
        self._tenants.move_to_end(slug)
        while len(self._tenants) > MAX_TENANTS:
            self._tenants.popitem(last=False)
        return snapshot

    async def _load_key(self, snapshot: TenantSnapshot, key_id: str) -> Key | None:
        started_s, changes = time.monotonic(), self._changes
        facts = await in_tenant(snapshot.slug, find_key_facts, key_id)
        key = None
        if facts is not None:
            principal = Principal(
                tenant=snapshot.slug,
                user_id=facts.user_id,
                project_id=facts.project_id,
                key_id=facts.id,
                key_name=facts.key_id,
                model_names=facts.model_names,
                group_ids=facts.group_ids,
                bounds=make_bounds(snapshot.slug, facts.limits),
            )
            key = Key(
                digest=facts.digest,
                is_in_force=facts.is_in_force,
                expires_at=facts.expires_at,
                scopes=facts.scopes,
                principal=principal,
            )
        if changes != self._changes:
            return key
        snapshot.keys[key_id] = (started_s, key)
        while len(snapshot.keys) > MAX_KEYS:
            snapshot.keys.popitem(last=False)
        return key

    async def _load_person(self, snapshot: TenantSnapshot, user_id: UUID) -> Person | None:
        started_s, changes = time.monotonic(), self._changes
        facts = await in_tenant(snapshot.slug, find_person_facts, user_id)
        person = None
        if facts is not None:
            bounds = make_bounds(snapshot.slug, facts.limits)
            person = Person(tenant=snapshot.slug, id=user_id, facts=facts, bounds=bounds)
        if changes != self._changes:
            return person
        snapshot.people[user_id] = (started_s, person)
        while len(snapshot.people) > MAX_KEYS:
            snapshot.people.popitem(last=False)
        return person

    def drop(self, slug: str, kind: str, object_id: str) -> None:
        """Forget what a notification names. A change on the platform may concern everyone."""
        self._note_change()
        if kind == "apikey":
            if snapshot := self._tenants.get(slug):
                snapshot.keys.pop(object_id, None)
            return
        if slug == "platform" and kind == "tenant":
            slug = object_id
        elif slug == "platform":
            self.drop_all()
            return
        forget(slug)
        self._misses.pop(slug, None)
        self._tenants.pop(slug, None)

    def _note_change(self) -> None:
        """What is being loaded may be old: it is not stored, and whoever comes from now on does not wait for
        it.
        """
        self._changes += 1
        self._loading.clear()

    def drop_all(self) -> None:
        """Forget everything: after the listener was deaf, nobody knows what changed."""
        self._note_change()
        forget()
        self._tenants.clear()
        self._misses.clear()


def _read_door(slug: str) -> tuple[KnownTenant, Plan] | tuple[None, None]:
    forget(slug)  # two memories in a row would make a second two
    door = find_tenant_by_slug(slug)
    return (door, get_plan(door.plan_id)) if door else (None, None)


def _read_tenant(plan_id: str, currency: str) -> TenantFacts:
    return TenantFacts(
        routes=list_routes(UUID(plan_id), currency),
        project_id=get_default_project_id(),
        grants=load_grants(MODEL),
        limits=tuple(list_shared_limits()),
        project_policies=get_project_policies(),
        auto_models=get_auto_models(),
    )


def _make_snapshot(known: KnownTenant, plan: Plan, facts: TenantFacts, loaded_s: float) -> TenantSnapshot:
    slug = known.slug
    of_plan = [LimitFacts(PLAN, "", row.measure, row.amount) for row in plan.limits.all()]
    of_tenant = [limit for limit in facts.limits if limit.level == "tenant"]
    return TenantSnapshot(
        slug=slug,
        door=known.state,
        bounds=make_bounds(slug, [*of_tenant, *of_plan]),
        project_bounds=_group_bounds(slug, facts.limits, "project"),
        model_bounds=_group_bounds(slug, facts.limits, "model"),
        project_id=facts.project_id,
        routes=facts.routes,
        grants=facts.grants,
        loaded_s=loaded_s,
        largest_file_bytes=plan.largest_file_bytes,
        data_policy=known.data_policy,
        project_policies=facts.project_policies,
        auto_models=facts.auto_models,
        endpoints={
            target.endpoint.id: target.endpoint for route in facts.routes.values() for target in route.targets
        },
    )


def make_bounds(slug: str, limits: Iterable[LimitFacts]) -> Bounds:
    """Limits with the keys of their counters, each of which begins with its tenant."""
    return tuple(
        Bound(
            limit.level,
            limit.measure,
            limit.amount,
            f"{slug}:limit:{LEVELS.get(limit.level, limit.level)}:{limit.subject}:{limit.measure}",
        )
        for limit in limits
    )


def _group_bounds(slug: str, limits: Iterable[LimitFacts], level: str) -> dict[UUID, Bounds]:
    found: dict[UUID, list[LimitFacts]] = {}
    for limit in limits:
        if limit.level == level:
            found.setdefault(UUID(limit.subject), []).append(limit)
    return {subject: make_bounds(slug, rows) for subject, rows in found.items()}
