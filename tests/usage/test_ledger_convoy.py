"""Several tenants' batches in one transaction: under whose role each statement runs, and what is left to the
others when one of them spoils it.
"""

import asyncio
import re
from collections.abc import Sequence
from functools import partial

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from foundation.errors import AtriumError, Unavailable
from foundation.ids import uuid7
from tests.doubles.chaosproxy import Trouble, running_chaosproxy
from tests.usage.books import BILL, PATIENCE_S, a_hold
from tests.usage.test_ledger_faults import call, call_once_it_goes
from usage.ledger import convoy, lanes, statements, wire
from usage.ledger.entries import Entry
from usage.ledger.parts import Part, TenantBooks, transact
from usage.ledger.wire import Statement, Wire, Wires


@pytest.fixture
def exchanges(monkeypatch) -> list[list[Statement]]:
    """What is sent, trip by trip."""
    sent, exchange = [], Wire.exchange

    async def noted(self: Wire, trip: Sequence[Statement]) -> list:
        sent.append(list(trip))
        return await exchange(self, trip)

    monkeypatch.setattr(Wire, "exchange", noted)
    return sent


def roles(trip: list[Statement]) -> list[str]:
    return [params[0].decode() for statement, params in trip if statement == statements.ENTER]


def shared(exchanges: list[list[Statement]]) -> list[list[Statement]]:
    return [trip for trip in exchanges if len(set(roles(trip))) > 1]


async def test_tenants_share_a_transaction_and_each_statement_has_its_tenants_role(
    books, other_books, exchanges
):
    for each in (books, other_books):
        each.add_budget("user", "1000")
    async with books.ledger() as ledger:
        await asyncio.gather(*(call(each, ledger) for _ in range(10) for each in (other_books, books)))
    assert len(shared(exchanges)) >= 4  # holds and bills, read and written
    for trip in exchanges:
        role = None
        for statement, params in trip:
            if statement == statements.ENTER:
                role = params[0].decode()
            for schema in re.findall(r'"(\w+)"\.usage_', statement):
                # the writes of a tenant alone follow its reads, in the same transaction
                assert role == f"{books.database}_{schema}" or (role is None and not roles(trip))
    for each in (books, other_books):
        assert len(each.events()) == 10 and each.holds() == [] and each.balances_match()


async def test_tenants_are_locked_in_one_order_whoever_came_first(books, other_books, exchanges):
    async with books.ledger() as one, books.ledger() as two:
        for ledger, order in ((one, (books, other_books)), (two, (other_books, books))):
            await asyncio.gather(*(ledger.reserve(each.slug, a_hold()) for each in order))
    assert len(shared(exchanges)) == 4
    assert all(roles(trip) == sorted(roles(trip)) for trip in exchanges)


async def test_under_another_tenants_role_a_statement_is_refused(books, other_books):
    mine, theirs = (TenantBooks(each.slug, each.database, uuid7(), min) for each in (books, other_books))
    mine.enter = theirs.enter
    wires = Wires(books.dsn, 1)
    entry = Entry(a_hold(), asyncio.get_running_loop().create_future())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await wires.use(None, partial(transact, [Part(mine, [entry], {})]))
    wires.close()
    assert books.holds() == other_books.holds() == []


async def both(ledger, books, other_books, hold=None) -> list:
    """A hold of each, asked for at once, so that they go together."""
    return await asyncio.gather(
        ledger.reserve(books.slug, hold or a_hold()),
        ledger.reserve(other_books.slug, a_hold()),
        return_exceptions=True,
    )


async def test_an_operation_that_the_database_refuses_spoils_no_other_tenants(books, other_books, exchanges):
    async with books.ledger() as ledger:
        refused, other = await both(ledger, books, other_books, a_hold("1e30"))
        assert isinstance(refused, AtriumError) and refused.code == "booking_failed" and other is None
        assert len(shared(exchanges)) == 2, "they did go together"
        (noted,) = books.sql("SELECT role FROM public.tenants_duty WHERE kind = 'holds'")
        assert noted.role == f"{books.database}_{other_books.schema}", "its note was not lost with the rest"
        assert await both(ledger, books, other_books) == [None, None]
        assert len(shared(exchanges)) == 4, "and do so again"
    assert len(books.holds()) == 1 and len(other_books.holds()) == 2


@pytest.mark.parametrize("table", ["usage_budget", "usage_hold"])
async def test_a_locked_tenant_is_left_out_until_it_has_succeeded(
    books, other_books, exchanges, monkeypatch, table
):
    boarded, board = [], convoy.Convoy.board
    monkeypatch.setattr(
        convoy.Convoy,
        "board",
        lambda self, schema, load: (boarded.append(schema), board(self, schema, load))[1],
    )
    async with books.ledger() as ledger:
        with books.locked(table):
            for _ in range(3):
                refused, other = await both(ledger, books, other_books)
                assert isinstance(refused, Unavailable) and other is None
            assert boarded.count(books.schema) == 1, "only the first time they tried it together"
        await call_once_it_goes(books, ledger)
        exchanges.clear()
        assert await both(ledger, books, other_books) == [None, None]
        assert len(shared(exchanges)) == 2
    assert len(other_books.holds()) == 4


async def test_whoever_did_not_spoil_it_needs_no_patience(books, other_books, monkeypatch):
    monkeypatch.setattr(lanes, "HOLD_PATIENCE_S", 0)
    async with books.ledger() as ledger:
        with books.locked():
            refused, other = await both(ledger, books, other_books)
    assert isinstance(refused, Unavailable) and other is None


async def test_without_a_server_all_hear_of_it(books, other_books, tmp_path):
    books.dsn, direct = make_conninfo(books.dsn, host=str(tmp_path)), books.dsn
    try:
        async with books.ledger() as ledger, asyncio.timeout(PATIENCE_S):
            refused = await both(ledger, books, other_books)
    finally:
        books.dsn = direct
    assert all(isinstance(one, Unavailable) for one in refused)


async def test_a_tenant_that_is_gone_spoils_no_other_tenants(books, other_books):
    """Its role and its schema do not exist; or they do, and a table does not."""
    async with books.ledger() as ledger:
        gone, other = await asyncio.gather(
            ledger.reserve("gone-for-good", a_hold()),
            ledger.reserve(other_books.slug, a_hold()),
            return_exceptions=True,
        )
        assert isinstance(gone, Unavailable) and other is None
        books.sql("ALTER TABLE usage_hold RENAME TO usage_hold_of_another_release")
        try:
            half, other = await both(ledger, books, other_books)
        finally:
            books.sql("ALTER TABLE usage_hold_of_another_release RENAME TO usage_hold")
        assert isinstance(half, Unavailable) and other is None
        await call_once_it_goes(books, ledger)


async def test_a_connection_that_has_served_many_tenants_makes_way_for_a_new_one(
    books, other_books, monkeypatch
):
    opened, connect = [], Wires._connect

    async def counted(wires: Wires) -> Wire:
        opened.append(wires)
        return await connect(wires)

    monkeypatch.setattr(Wires, "_connect", counted)
    for most, connections in ((1_000, 1), (2, 8)):  # none, or all: each booking needs more than two
        monkeypatch.setattr(wire, "MOST_PREPARED", most)
        opened.clear()
        async with books.ledger(pool_size=1) as ledger:
            for each in (books, other_books) * 2:
                await call(each, ledger)
        assert len(opened) == connections, most
    assert len(books.events()) == len(other_books.events()) == 4


async def test_nobody_is_left_behind_when_a_transaction_ends(books, other_books, monkeypatch):
    """Who comes in the moment in which one ends, and no other is under way."""
    monkeypatch.setattr(convoy, "AT_ONCE", 1)

    async def caller(each, ledger, number: int) -> None:
        await asyncio.sleep(0.002 * number)  # so that some wait while others are on their way
        for _ in range(20):
            await call(each, ledger)

    async with books.ledger() as ledger, asyncio.timeout(2 * PATIENCE_S):
        await asyncio.gather(
            *(caller(each, ledger, number) for number in range(6) for each in (books, other_books))
        )
    assert len(books.events()) == len(other_books.events()) == 120


@pytest.mark.parametrize(
    ("direction", "lengths"), [("up", range(1_500, 16_000, 1_450)), ("down", range(600, 5_000, 440))]
)
async def test_wherever_the_connection_breaks_each_tenants_call_is_booked_once(
    books, other_books, tmp_path, direction, lengths
):
    for each in (books, other_books):
        each.add_budget("user", "1000")
    parts = conninfo_to_dict(books.dsn)
    with running_chaosproxy(
        f"{parts['host']}/.s.PGSQL.{parts['port']}", str(tmp_path / ".s.PGSQL.5432")
    ) as proxy:
        behind = make_conninfo(books.dsn, host=str(tmp_path), port="5432")
        direct, books.dsn = books.dsn, behind
        try:
            for count, length in enumerate(lengths, start=1):
                setattr(proxy, direction, Trouble(reset_after=length))
                accepted = proxy.accepted
                async with books.ledger(pool_size=1) as ledger:
                    tasks = [
                        asyncio.create_task(call_once_it_goes(each, ledger)) for each in (books, other_books)
                    ]
                    while not (proxy.accepted > accepted + 1 or all(task.done() for task in tasks)):
                        await asyncio.sleep(0.005)
                    setattr(proxy, direction, Trouble())
                    await asyncio.gather(*tasks)
                    await asyncio.sleep(0.02)
                for each in (books, other_books):
                    assert [len(each.events()), each.holds()] == [count, []], length
                    assert each.balances_match()
        finally:
            books.dsn = direct
    assert sum(event.cost for event in other_books.events()) == len(lengths) * BILL
