"""Rules about databases, networks, threads and async: where the house allows only one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .engine import Rule, Source, add
from .rules_code import argument, calls_named, is_constant

# -- SQL -----------------------------------------------------------------------------------------------------

EXECUTES = {"execute", "executemany", "executescript", "RunSQL", "SQL", "copy"}


def _is_built(source: Source, node: ast.AST) -> bool:
    """Whether a string is put together at run time: f-string with values,
    %, + with a string, .format, join.
    """
    if isinstance(node, ast.JoinedStr):
        values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        # LISTEN and the like take no parameters
        return not all(isinstance(value, ast.Name) and value.id.isupper() for value in values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        sides = [node.left, node.right] if isinstance(node.op, ast.Add) else [node.left]
        return any(_is_text(side) or _is_built(source, side) for side in sides)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "join")
    ):
        return _is_text(node.func.value)  # sql.SQL("…").format(…) quotes: its value is a call, not a text
    return False


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


add(
    Rule(
        "sql-format",
        "values go in as parameters, names through psycopg.sql.Identifier",
        lambda source: (
            call.lineno
            for call, name in source.calls
            if name.rpartition(".")[2] in EXECUTES and call.args and _is_built(source, call.args[0])
        ),
        bad=(
            ("usage/a.py", "cursor.execute(f'SELECT {x}')\n"),
            ("usage/a.py", "cursor.execute('SELECT %s' % x)\n"),
            ("usage/a.py", "from psycopg import sql\nsql.SQL('SELECT {}'.format(x))\n"),
            ("usage/a.py", "await conn.execute('SELECT ' + x)\n"),
        ),
        good=(
            (
                "usage/a.py",
                (
                    "cursor.execute('SELECT %s', [x])\ncursor.execute(sql.SQL('SET ROLE "
                    "{}').format(sql.Identifier(x)))\n"
                ),
            ),
            ("usage/a.py", "cursor.execute(f'LISTEN {CHANNEL}')\n"),
        ),
    )
)
add(
    Rule(
        "raw-sql",
        "no RawSQL, .raw() or .extra(): the ORM, or a cursor in the one place that needs it",
        calls_named(
            lambda name: name.endswith("RawSQL") or name.endswith(".extra") or name.endswith("objects.raw")
        ),
        bad=(
            ("rag/a.py", "from django.db.models.expressions import RawSQL\nRawSQL('x', [])\n"),
            ("rag/a.py", "Doc.objects.filter(a=1).extra(where=['x'])\n"),
            ("rag/a.py", "Doc.objects.raw('SELECT 1')\n"),
        ),
        good=(("rag/a.py", "Doc.objects.filter(a=1)\nlog.info('x', extra={'a': 1})\n"),),
    )
)
CONNECTS = {
    "psycopg.connect",
    "psycopg.Connection.connect",
    "psycopg.AsyncConnection.connect",
    "psycopg_pool.ConnectionPool",
    "psycopg_pool.AsyncConnectionPool",
    "psycopg.AsyncConnectionPool",
}
add(
    Rule(
        "raw-connect",
        (
            "a raw connection knows no tenant: only backend, start check, embedded services, ledger, "
            "heartbeat, listener and the scheduler's leader lock open one"
        ),
        calls_named(lambda name: name in CONNECTS),
        bad=(
            ("rag/a.py", "import psycopg\npsycopg.connect(dsn)\n"),
            (
                "gateway/pipeline.py",
                "from psycopg_pool import AsyncConnectionPool\nAsyncConnectionPool(dsn)\n",
            ),
        ),
        good=(
            (
                "usage/ledger/wire.py",
                "from psycopg_pool import AsyncConnectionPool\nAsyncConnectionPool(dsn)\n",
            ),
            ("rag/a.py", "client.connect(dsn)\n"),
        ),
        allowed=(
            "tenants/pgbackend/*",
            "tenants/start.py",
            "launcher/embedded*",
            "launcher/up*",
            "usage/ledger/*",
            "gateway/listener*",
            "config/scheduler.py",
        ),
    )
)
SCOPED = ("*/selectors.py", "*/selectors/*", "*/migrations/*")


FOREIGN = {
    "request",
    "kwargs",
    "options",
    "data",
    "body",
    "payload",
    "params",
    "form",
    "validated_data",
    "cleaned_data",
}


def _is_in_hand(source: Source, value: ast.expr) -> bool:
    """`job.pk`, `door.plan_id`: an id that an object the code already holds carries, not one that came from
    outside.
    """
    names = source.name_of(value).split(".")
    return (
        isinstance(value, ast.Attribute)
        and (names[-1] in ("pk", "id") or names[-1].endswith("_id"))
        and not FOREIGN & set(names)
    )


def _unscoped_get(source: Source) -> Iterator[int]:
    """get by primary key straight from a manager, with an id from outside."""
    for call, name in source.calls:
        if name.rpartition(".")[2] in ("get_object_or_404", "aget_object_or_404", "get_list_or_404"):
            yield call.lineno
            continue
        keys = [keyword for keyword in call.keywords if keyword.arg in ("pk", "id")]
        if not keys or name.rpartition(".")[2] not in ("get", "aget") or ".objects." not in name:
            continue
        if not all(_is_in_hand(source, key.value) for key in keys):
            yield call.lineno


add(
    Rule(
        "unscoped-get",
        "objects by id come from get_visible_… selectors, which check who asks",
        _unscoped_get,
        bad=(
            ("prompts/views.py", "Conversation.objects.get(pk=pk)\n"),
            ("prompts/views.py", "Conversation.objects.get(pk=request.conversation_id)\n"),
            ("prompts/services.py", "Conversation.objects.select_related('user').get(id=conversation_id)\n"),
            (
                "prompts/views.py",
                "from django.shortcuts import get_object_or_404\nget_object_or_404(Conversation, pk=pk)\n",
            ),
        ),
        good=(
            ("prompts/selectors.py", "Conversation.objects.get(pk=pk)\n"),
            ("prompts/services.py", "Job.objects.select_for_update().get(pk=job.pk)\nsettings.get(id=1)\n"),
        ),
        allowed=SCOPED,
    )
)

# -- networks ------------------------------------------------------------------------------------------------

CLIENTS = {
    "aiohttp.ClientSession",
    "aiohttp.request",
    "aiohttp.TCPConnector",
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx.HTTPTransport",
    "httpx.AsyncHTTPTransport",
}
VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "stream"}
OTHERS = {
    "urllib.request.urlopen",
    "urllib.request.build_opener",
    "http.client.HTTPConnection",
    "http.client.HTTPSConnection",
    "urllib3.PoolManager",
}


def _opens_client(name: str) -> bool:
    room, _, verb = name.rpartition(".")
    return (
        name in CLIENTS
        or name in OTHERS
        or (room in ("httpx", "requests") and verb in VERBS)
        or name == "requests.Session"
    )


add(
    Rule(
        "http-client",
        "outgoing connections are made in foundation/egress/ (policy, resolve once) and gateway/loop.py only",
        calls_named(_opens_client),
        bad=(
            ("rag/a.py", "import httpx\nhttpx.get(url)\n"),
            ("rag/a.py", "from aiohttp import ClientSession\nClientSession()\n"),
            ("rag/a.py", "from urllib.request import urlopen\nurlopen(url)\n"),
            ("rag/a.py", "import requests as r\nr.post(url)\n"),
        ),
        good=(
            ("gateway/loop.py", "import aiohttp\naiohttp.ClientSession()\n"),
            ("rag/a.py", "cache.get(url)\n"),
        ),
        allowed=("foundation/egress/*", "gateway/loop.py"),
    )
)
add(
    Rule(
        "trust-env",
        "proxies and credentials of the environment must not reach a client",
        lambda source: (
            node.value.lineno
            for node in source.nodes
            if isinstance(node, ast.keyword) and node.arg == "trust_env" and is_constant(node.value, True)
        ),
        bad=(("foundation/egress/control_plane.py", "httpx.Client(trust_env=True)\n"),),
        good=(("foundation/egress/control_plane.py", "httpx.Client(trust_env=False)\n"),),
    )
)

# -- threads and async ---------------------------------------------------------------------------------------

POOLS = {
    "concurrent.futures.ThreadPoolExecutor",
    "concurrent.futures.thread.ThreadPoolExecutor",
    "multiprocessing.pool.ThreadPool",
    "asyncio.to_thread",
}
add(
    Rule(
        "thread-pool",
        "threads that may touch the ORM start in tenants/context.py, which carries the tenant",
        calls_named(lambda name: name in POOLS or name.endswith(".run_in_executor")),
        bad=(
            ("rag/a.py", "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(4)\n"),
            ("gateway/a.py", "import asyncio\nawait asyncio.to_thread(f)\n"),
            ("gateway/a.py", "await loop.run_in_executor(None, f)\n"),
        ),
        good=(
            (
                "tenants/context.py",
                "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(4)\n",
            ),
            ("runtimes/ml/server.py", "await loop.run_in_executor(p, f)\n"),
        ),
        allowed=("tenants/context.py", "runtimes/ml/*", "training/ml/*"),
    )
)


def _hops_with_connection(source: Source) -> Iterator[int]:
    for call, name in source.calls:
        if name.rpartition(".")[2] in ("sync_to_async", "database_sync_to_async") and call.args:
            target = source.name_of(call.args[0])
            if (
                any(part in target.split(".") for part in ("connection", "connections", "connections()"))
                or ".objects." in target
            ):
                yield call.lineno


add(
    Rule(
        "sync-to-async-connection",
        (
            "sync_to_async(connection.x) is evaluated on the loop's thread: another tenant's connection. "
            "in_tenant(slug, function) instead"
        ),
        _hops_with_connection,
        bad=(
            (
                "rag/a.py",
                (
                    "from django.db import connection\nfrom asgiref.sync import sync_to_async\nawait "
                    "sync_to_async(connection.close)()\n"
                ),
            ),
            ("rag/a.py", "await sync_to_async(Doc.objects.get)(pk=1)\n"),
        ),
        good=(("rag/a.py", "await in_tenant(slug, load_documents)\nawait sync_to_async(load)()\n"),),
    )
)


def _swallows_cancel(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler) or node.type is None:
            continue
        types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        caught = {source.name_of(kind).rpartition(".")[2] for kind in types}
        if caught & {"CancelledError", "BaseException", "GeneratorExit"} and not any(
            _goes_on(node, child) for child in ast.walk(node)
        ):
            yield node.lineno


def _goes_on(handler: ast.ExceptHandler, node: ast.AST) -> bool:
    """Raised again, taken back by `uncancel()`, or handed to someone else as a value."""
    handed = isinstance(node, ast.Call) and any(
        isinstance(value, ast.Name) and value.id == handler.name for value in node.args
    )
    taken_back = isinstance(node, ast.Attribute) and node.attr == "uncancel"
    return isinstance(node, ast.Raise) or taken_back or bool(handler.name and handed)


add(
    Rule(
        "swallow-cancel",
        "a caught CancelledError or BaseException is raised again, handed on, or taken back by uncancel()",
        _swallows_cancel,
        bad=(
            ("gateway/a.py", "import asyncio\ntry:\n    pass\nexcept asyncio.CancelledError:\n    log()\n"),
            ("gateway/a.py", "try:\n    pass\nexcept BaseException:\n    x = 1\n"),
        ),
        good=(
            ("gateway/a.py", "try:\n    pass\nexcept asyncio.CancelledError:\n    log()\n    raise\n"),
            ("gateway/a.py", "try:\n    pass\nexcept BaseException as exc:\n    future.set_exception(exc)\n"),
            (
                "gateway/a.py",
                "try:\n    pass\nexcept asyncio.CancelledError:\n    asyncio.current_task().uncancel()\n",
            ),
        ),
    )
)


def _tenantless_task(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                name = source.name_of(call.func if call else decorator)
                if (name.endswith("shared_task") or name == "app.task") and (
                    call is None or argument(call, "base") is None
                ):
                    yield node.lineno


add(
    Rule(
        "tenantless-task",
        "a task says its base (TenantTask), so that a message without tenant is refused",
        _tenantless_task,
        bad=(
            ("rag/tasks.py", "from celery import shared_task\n@shared_task\ndef f():\n    pass\n"),
            ("rag/tasks.py", "@shared_task(queue='gpu')\ndef f():\n    pass\n"),
        ),
        good=(("rag/tasks.py", "@shared_task(base=TenantTask, acks_late=True)\ndef f():\n    pass\n"),),
    )
)
