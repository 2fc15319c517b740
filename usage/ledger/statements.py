# ruff: noqa: S608  (the parts put together here are constants of this file)
"""The SQL of the lanes, and the array literals that feed it. Each statement takes a whole batch, one array
per column.

Arrays are written as text here: psycopg's own adaptation of lists took four fifths of a call's CPU (0.23 ms
with it, 0.04 without). Tables are named without a schema; `Qualified` adds the tenant's. A search_path that
changes with the tenant would do as well, but PostgreSQL plans every statement anew when it has changed
(0.4 ms a hold).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from uuid import UUID

from usage.ledger.bookings import CallFacts, HoldRequest, LostAttempt, NextAttempt, Settlement
from usage.older_counts import QUANTITIES
from usage.pricing import Price, write_amount
from usage.quantities import Quantities, four_counts

# Without statistics a generic plan would walk these small, fast-changing tables from end
# to end; hence the planner settings.
SESSION_OPTIONS = (
    "-c synchronous_commit=on -c lock_timeout=100 -c statement_timeout=5000 "
    "-c idle_in_transaction_session_timeout=10000 "
    "-c timezone=UTC -c datestyle=ISO -c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c jit=off "
    "-c search_path=pg_catalog"
)

_TABLES = re.compile(r"\busage_(?:budget|budgetoverrun|hold|usageevent)\b")

# What a hold knows of its call and the event takes over: column → type of its array.
FACTS = {
    "source": "text",
    "user_id": "uuid",
    "key_id": "uuid",
    "project_id": "uuid",
    "model": "text",
    "model_id": "uuid",
    "model_version": "text",
    "deployment": "text",
    "endpoint": "text",
    "connection_id": "uuid",
    "upstream_model": "text",
    "price_snapshot": "jsonb",
    "trace_id": "text",
}
# What the bill says anew where another candidate answered than the one that the hold names.
ANSWERED = (
    "model",
    "model_id",
    "model_version",
    "deployment",
    "connection_id",
    "upstream_model",
    "price_snapshot",
)
_FACT_NAMES = ", ".join(FACTS)
_EVENT_NAMES = (
    f"id, request_id, kind, {_FACT_NAMES}, currency, units, quantities, input_tokens, cached_tokens, "
    "output_tokens, reasoning_tokens, cost, status, error_code, latency_ms, first_token_ms, estimated, "
    "over_hold, attempts, dropped_params, booked_at, created_at"
)
_HELD_FACTS = ", ".join(f"h.{name}" for name in FACTS)
_BILLED_FACTS = ", ".join(
    f"coalesce(n.{name}, h.{name})" if name in ANSWERED else f"h.{name}" for name in FACTS
)
LEVEL_ORDER = "CASE level WHEN 'tenant' THEN 0 WHEN 'project' THEN 1 WHEN 'user' THEN 2 ELSE 3 END"


def unnest(alias: str, first: int, columns: dict[str, str]) -> str:
    """`unnest($first::a[], …) AS alias(…)`: the batch as a table."""
    arrays = ", ".join(f"${first + position}::{kind}[]" for position, kind in enumerate(columns.values()))
    return f"unnest({arrays}) AS {alias}({', '.join(columns)})"


def make_holds(process: str, moment: str, budget_ids: str, holds: str) -> str:
    """The holds `h`."""
    return f"""INSERT INTO usage_hold
  (process_id, created_at, id, amount, budget_ids, input_tokens_estimate, {_FACT_NAMES})
SELECT {process}, {moment}, h.id, h.amount, {budget_ids}, h.input_tokens_estimate, {_HELD_FACTS}
FROM {holds}"""


def book_events(moment: str, bills_and_holds: str) -> str:
    """The events of the bills `n` and their holds `h`; answers their ids."""
    return f"""INSERT INTO usage_usageevent ({_EVENT_NAMES})
SELECT h.id, h.id, 'settle', {_BILLED_FACTS}, coalesce(h.price_snapshot->>'currency', ''), '{{}}',
  n.quantities, n.input, n.cached, n.output, n.reasoning, n.cost,
  n.status, n.error_code, n.latency_ms, n.first_token_ms, n.estimated, n.cost > h.amount, n.attempts,
  n.dropped_params, {moment}, {moment}
FROM {bills_and_holds} RETURNING id"""


HOLD_COLUMNS = {
    "id": "uuid",
    "amount": "numeric",
    "budget_ids": "text",
    "input_tokens_estimate": "bigint",
    **FACTS,
}
BILL_COLUMNS = {
    "id": "uuid",
    "cost": "numeric",
    "quantities": "jsonb",
    "input": "bigint",
    "cached": "bigint",
    "output": "bigint",
    "reasoning": "bigint",
    "status": "text",
    "error_code": "text",
    "latency_ms": "int",
    "first_token_ms": "int",
    "estimated": "bool",
    "attempts": "jsonb",
    "dropped_params": "jsonb",
    **{name: FACTS[name] for name in ANSWERED},
}
_NEXT_COLUMNS = {
    "id": "uuid",
    "amount": "numeric",
    "attempts": "jsonb",
    **{name: FACTS[name] for name in ANSWERED},
}
_MARK_COLUMNS = {"id": "uuid", "tokens": "bigint"}
_BALANCE_COLUMNS = {
    "id": "uuid",
    "period_start": "timestamptz",
    "allowance": "numeric",
    "held": "numeric",
    "spent": "numeric",
}
_OVERRUN_COLUMNS = {"id": "uuid", "budget_id": "uuid", "request_id": "uuid", "amount": "numeric"}

BEGIN = "BEGIN"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"
ENTER = "SELECT set_config('role', $1, true)"
# First of all: its table lock (ROW SHARE) keeps usage.services from adding a budget between this and the
# commit. An array and no join: a join that has waited for a row is worked out anew for that row, and then
# leaves the ones behind it out.
LOCK_BUDGETS = f"""SELECT id, level, subject_id, period, period_start, "limit", allowance, held, spent,
  managed_by, currency
FROM usage_budget
WHERE id = ANY (ARRAY(
  SELECT id FROM usage_budget WHERE subject_id = ANY($1::uuid[])
  UNION ALL SELECT unnest(budget_ids) FROM usage_hold WHERE id = ANY($2::uuid[])))
ORDER BY {LEVEL_ORDER}, id FOR UPDATE"""
# Who corrects or refunds a bill takes this first, before any budget. Its table is only added to, so that
# there is no row to lock.
LOCK_REQUEST = "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))"
READ_HOLDS = "SELECT id, amount, budget_ids FROM usage_hold WHERE id = ANY($1::uuid[])"
# once the locks are held, so that time never runs back from one owner of a row to the next
READ_CLOCK = "SELECT clock_timestamp()"

WRITE_BALANCES = f"""UPDATE usage_budget b SET
  period_start = n.period_start, allowance = n.allowance, held = n.held, spent = n.spent
FROM {unnest("n", 1, _BALANCE_COLUMNS)} WHERE b.id = n.id"""
WRITE_OVERRUNS = f"""INSERT INTO usage_budgetoverrun (id, budget_id, request_id, amount, created_at)
SELECT n.id, n.budget_id, n.request_id, n.amount, $1::timestamptz FROM {unnest("n", 2, _OVERRUN_COLUMNS)}"""
WRITE_HOLDS = make_holds("$1::uuid", "$2::timestamptz", "h.budget_ids::uuid[]", unnest("h", 3, HOLD_COLUMNS))
# Of a hold that is gone by now the id is missing from the answer. How far a lost attempt came says nothing of
# the next one.
FOLLOW = f"""UPDATE usage_hold h SET amount = n.amount, attempts = n.attempts, progress_output_tokens = NULL,
  {", ".join(f"{name} = n.{name}" for name in ANSWERED)}
FROM {unnest("n", 1, _NEXT_COLUMNS)} WHERE h.id = n.id RETURNING h.id"""
MARK_PROGRESS = f"""UPDATE usage_hold h SET
  progress_output_tokens = greatest(h.progress_output_tokens, n.tokens)
FROM {unnest("n", 1, _MARK_COLUMNS)} WHERE h.id = n.id"""
DROP_HOLDS = "DELETE FROM usage_hold WHERE id = ANY($1::uuid[])"
# A hold turns into its event; one whose hold is gone by now turns into nothing, and is missing from the
# answer.
SETTLE = f"""WITH h AS (DELETE FROM usage_hold WHERE id = ANY($2::uuid[]) RETURNING *)
{book_events("$1::timestamptz", f"{unnest('n', 2, BILL_COLUMNS)} JOIN h ON h.id = n.id")}"""
NOTE_DUTY = "SELECT public.atrium_duty($1, $2::timestamptz)"

READ_EVENTS = f"""SELECT kind, status, cost, user_id, key_id, project_id, booked_at, {QUANTITIES}
FROM usage_usageevent WHERE request_id = $1::uuid"""
ADJUST = f"""INSERT INTO usage_usageevent ({_EVENT_NAMES})
SELECT $1::uuid, h.request_id, 'adjustment', {_HELD_FACTS}, h.currency, '{{}}',
  $2::jsonb, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::numeric,
  $8, $9, $10::int, $11::int, $12::bool, false, $13::jsonb, $14::jsonb, h.booked_at, $15::timestamptz
FROM usage_usageevent h WHERE h.request_id = $16::uuid AND h.kind = 'settle'"""


class Qualified(dict[str, str]):
    """The statements of this module → as they are sent for one tenant."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def __missing__(self, statement: str) -> str:
        qualified = self[statement] = _TABLES.sub(rf'"{self._schema}".\g<0>', statement)
        return qualified


def array(values: Iterable[str]) -> bytes:
    """An array literal of elements that are already written as such."""
    # a lone surrogate must not keep a bill out of the books
    return f"{{{','.join(values)}}}".encode("utf-8", "replace")


def columns(rows: Sequence[tuple[str, ...]]) -> list[bytes]:
    """Rows of written elements as one array literal per column."""
    return [array(column) for column in zip(*rows, strict=True)]


@lru_cache(maxsize=1024)  # models, endpoints, codes: few texts, often
def text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "") + '"'


def uuid(value: UUID | None) -> str:
    return "NULL" if value is None else value.hex


def truth(value: bool) -> str:
    return "t" if value else "f"


def quantities(found: Quantities) -> str:
    """As JSON. Names of classes need no escapes."""
    pairs = ",".join([f'\\"{name}\\":{count}' for name, count in found.items()])
    return f'"{{{pairs}}}"'


def number(value: int | None) -> str:
    return "NULL" if value is None else str(value)


@lru_cache(maxsize=4096)
def _price(price: Price | None) -> str:
    return text(json.dumps(price.snapshot() if price else {}))


_AS_HELD = ("NULL",) * len(ANSWERED)


def hold_row(request: HoldRequest, budget_ids: Iterable[str]) -> tuple[str, ...]:
    """The elements of HOLD_COLUMNS, in its order."""
    return (
        request.request_id.hex,
        str(request.amount),
        f'"{{{",".join(budget_ids)}}}"',
        str(request.input_tokens_estimate),
        *facts(request.facts, request.subjects),
    )


def bill_row(bill: Settlement) -> tuple[str, ...]:
    """The elements of BILL_COLUMNS, in its order."""
    used = bill.usage.quantities
    return (
        bill.request_id.hex,
        str(bill.cost),
        quantities(used),
        *map(str, four_counts(used).values()),
        text(bill.status),
        text(bill.error_code),
        number(bill.latency_ms),
        number(bill.first_token_ms),
        truth(bill.estimated),
        *outcome(bill),
    )


def outcome(bill: Settlement) -> tuple[str, ...]:
    """The elements of `attempts`, `dropped_params` and of ANSWERED, in its order."""
    return (
        text(written_attempts(bill.attempts)) if bill.attempts else "NULL",
        text(json.dumps(bill.dropped_params)) if bill.dropped_params else "NULL",
        *(answered(bill.answered) if bill.answered else _AS_HELD),
    )


def next_attempt(attempt: NextAttempt) -> tuple[str, ...]:
    """The elements of _NEXT_COLUMNS behind the amount, in its order."""
    return text(written_attempts(attempt.attempts)), *answered(attempt.facts)


def written_attempts(lost: Iterable[LostAttempt]) -> str:
    """As JSON, as events and holds keep them."""
    return json.dumps(
        [
            {
                "upstream_model": one.upstream_model,
                "connection_id": str(one.connection_id),
                "error_code": one.error_code,
                "latency_ms": one.latency_ms,
                "quantities": dict(one.usage.quantities),
                "cost": write_amount(one.cost),
            }
            for one in lost
        ]
    )


def answered(found: CallFacts) -> tuple[str, ...]:
    """The elements of ANSWERED, in its order."""
    return (
        text(found.model),
        uuid(found.model_id),
        text(found.model_version),
        text(found.deployment),
        uuid(found.connection_id),
        text(found.upstream_model),
        _price(found.price),
    )


def facts(call: CallFacts, subjects: Mapping[str, UUID]) -> tuple[str, ...]:
    """The elements of FACTS, in its order."""
    return (
        text(call.source),
        uuid(subjects.get("user")),
        uuid(subjects.get("key")),
        uuid(subjects.get("project")),
        text(call.model),
        uuid(call.model_id),
        text(call.model_version),
        text(call.deployment),
        text(call.endpoint),
        uuid(call.connection_id),
        text(call.upstream_model),
        _price(call.price),
        text(call.trace_id),
    )
