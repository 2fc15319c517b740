"""Calls for tests of single steps: a model at one endpoint, and collaborators that keep no books."""

from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import orjson

from gateway.calls import Call, Principal
from gateway.operations import chat_completions
from gateway.state.breaker import Breaker
from gateway.state.load import Load
from gateway.state.quirks import Quirks
from gateway.state.snapshot import TenantSnapshot
from models_registry.routes import Candidate, Endpoint, Route, Target
from tenants.doors.hosts import DoorState
from usage.ledger.bookings import HoldRequest, NextAttempt, Settlement
from usage.pricing import Price

FREE = Price("EUR", *(Decimal(0),) * 4)
PROJECT = uuid4()


def make_endpoint(base_url: str, **fields) -> Endpoint:
    return Endpoint(
        **{"id": uuid4(), "origin": "platform", "kind": "openai_compatible", "allow_private": True}
        | fields
        | {"base_url": base_url}
    )


def make_route(endpoints: list[Endpoint], upstream_name: str = "theirs", **fields) -> Route:
    return Route(
        **{
            "name": "ours",
            "label": "Ours",
            "model_id": uuid4(),
            "targets": tuple(Target(endpoint, upstream_name) for endpoint in endpoints),
            "kind": "chat",
            "context_window": None,
            "max_output_tokens": None,
            "default_max_output_tokens": 100,
            "price": FREE,
        }
        | fields
    )


def make_call(
    base_url: str, model: str = "theirs", *, stream: bool = True, max_tokens: int = 100, **fields
) -> Call:
    """`fields`: of the endpoint."""
    return call_of(
        make_route([make_endpoint(base_url, **fields)], model), stream=stream, max_tokens=max_tokens
    )


def call_of(*routes: Route, stream: bool = True, max_tokens: int = 100, **body) -> Call:
    """A call whose candidates are these models' endpoints, in their order."""
    body = {"model": "ours", "messages": [{"role": "user", "content": "hi"}], "stream": stream} | body
    call = Call(
        Principal("acme", uuid4(), uuid4()), body, len(orjson.dumps(body)), chat_completions.OPERATION
    )
    call.wants_stream = stream
    call.answer_count = body.get("n") or 1
    call.candidates = [Candidate(route, target, route.name) for route in routes for target in route.targets]
    call.begin_attempt(call.candidates[0])
    call.max_output_tokens = max_tokens
    return call


def snapshot(
    *routes, policy: str = "", project_policy: str = "", aliases: dict | None = None
) -> TenantSnapshot:
    """What is in memory of a tenant with these models, among them those of PROJECT."""
    table = {route.name: route for route in routes}
    return TenantSnapshot(
        slug="acme",
        door=DoorState.OPEN,
        bounds=(),
        project_bounds={},
        model_bounds={},
        project_id=PROJECT,
        routes=table | {alias: table[name] for alias, name in (aliases or {}).items()},
        grants={},
        loaded_s=0.0,
        data_policy=policy,
        project_policies={PROJECT: project_policy} if project_policy else {},
    )


class OpenBooks:
    """A ledger that refuses nothing, and keeps what it is given."""

    def __init__(self) -> None:
        self.holds: list[HoldRequest] = []
        self.followed: list[NextAttempt] = []
        self.bills: list[Settlement] = []

    async def reserve(self, _slug: str, hold: HoldRequest) -> None:
        self.holds.append(hold)

    def mark(self, *_mark) -> None:
        pass

    async def follow(self, _slug: str, attempt: NextAttempt) -> None:
        self.followed.append(attempt)

    async def settle(self, _slug: str, bill: Settlement) -> None:
        self.bills.append(bill)


async def yes(principal) -> bool:
    return True


def collaborators(client, **more) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "client_for": lambda endpoint: client,
            "ledger": OpenBooks(),
            "breaker": Breaker(),
            "load": Load(),
            "quirks": Quirks(),
            "in_flight": SimpleNamespace(leave=lambda call: None),
            "limiter": None,  # nothing was counted
            "may_still_call": yes,
        }
        | more
    )
