"""Rules of the house's way of writing that reliability hangs on: errors, checks, times, texts, and Django's
dangerous conveniences.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .engine import Rule, Source, add
from .rules_code import calls_named, imports_of, is_constant

# -- errors and checks ---------------------------------------------------------------------------------------


def _silent_except(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(source.name_of(kind) in ("Exception", "BaseException") for kind in types)
            body = [
                step
                for step in node.body
                if not (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            ]
            if broad and all(isinstance(step, (ast.Pass, ast.Continue)) for step in body):
                yield node.lineno
    for call, name in source.calls:
        if name.endswith("suppress") and any(
            source.name_of(kind) in ("Exception", "BaseException") for kind in call.args
        ):
            yield call.lineno


add(
    Rule(
        "silent-except",
        "an error that nobody hears is a lost error",
        _silent_except,
        bad=(
            ("usage/a.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
            (
                "usage/a.py",
                (
                    "for x in y:\n    try:\n        f()\n    except (ValueError, Exception) as e:\n        "
                    "continue\n"
                ),
            ),
            ("usage/a.py", "from contextlib import suppress\nwith suppress(Exception):\n    f()\n"),
        ),
        good=(
            (
                "usage/a.py",
                (
                    "try:\n    f()\nexcept Exception:\n    logger.exception('x')\nwith "
                    "suppress(KeyError):\n    "
                    "g()\n"
                ),
            ),
        ),
    )
)


# -- times and texts -----------------------------------------------------------------------------------------


GETTEXTS = {
    "_",
    "gettext",
    "gettext_lazy",
    "ngettext",
    "ngettext_lazy",
    "pgettext",
    "pgettext_lazy",
    "npgettext",
    "npgettext_lazy",
    "gettext_noop",
}


def _built_text(source: Source) -> Iterator[int]:
    for call, name in source.calls:
        called = call.func.id if isinstance(call.func, ast.Name) else name.rpartition(".")[2]
        if called not in GETTEXTS:
            continue
        # gettext 1, ngettext and pgettext 2, npgettext 3
        texts = 1 if called == "_" else 1 + len(called.partition("gettext")[0])
        for node in call.args[:texts]:
            formatted = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "format"
            )
            if formatted or isinstance(node, (ast.JoinedStr, ast.BinOp)):
                yield call.lineno


add(
    Rule(
        "gettext-built",
        "gettext finds only fixed texts: _('%(name)s …') % {…}, nothing put together inside",
        _built_text,
        bad=(
            ("prompts/a.py", "_(f'{name} was deleted')\n"),
            ("prompts/a.py", "from django.utils.translation import gettext as _\n_('%s left' % name)\n"),
            ("prompts/a.py", "ngettext('one', f'{n} many', n)\n"),
            ("prompts/a.py", "_('a {}'.format(b))\n"),
        ),
        good=(
            (
                "prompts/a.py",
                (
                    "_('%(name)s left.') % {'name': name}\nngettext('%(n)d day', '%(n)d days', n + 1)\n_('a' "
                    "'b')\n"
                ),
            ),
        ),
    )
)

# -- Django's conveniences -----------------------------------------------------------------------------------

add(
    Rule(
        "mark-safe",
        "templates escape; format_html with arguments where HTML must be made",
        lambda source: [
            *calls_named(lambda name: name.rpartition(".")[2] in ("mark_safe", "SafeString", "SafeText"))(
                source
            ),
            *calls_named(
                lambda name: name.rpartition(".")[2] == "format_html",
                lambda call: bool(call.args) and isinstance(call.args[0], (ast.JoinedStr, ast.BinOp)),
            )(source),
        ],
        bad=(
            ("prompts/a.py", "from django.utils.safestring import mark_safe\nmark_safe(text)\n"),
            ("prompts/a.py", "from django.utils.html import format_html\nformat_html(f'<b>{text}</b>')\n"),
        ),
        good=(
            ("prompts/a.py", "format_html('<b>{}</b>', text)\n"),
            ("prompts/rendering.py", "SafeString(nh3.clean(html))\n"),
        ),
        allowed=("prompts/rendering.py",),  # the one place where Markdown becomes clean HTML
    )
)


def _open_door(source: Source) -> Iterator[int]:
    for node in source.nodes:
        name = node.value if isinstance(node, ast.Constant) else source.name_of(node)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Constant)) and str(name).endswith(
            "permissions.AllowAny"
        ):
            yield node.lineno
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, (ast.List, ast.Tuple))
            and not node.value.elts
        ):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from [node.lineno] * ("permission_classes" in names)
    for call, name in source.calls:
        if (
            name.rpartition(".")[2] == "permission_classes"
            and call.args
            and isinstance(call.args[0], (ast.List, ast.Tuple))
            and not call.args[0].elts
        ):
            yield call.lineno


add(
    Rule(
        "allow-any",
        "every API view has a permission; a public one needs a registry entry",
        _open_door,
        bad=(
            (
                "prompts/api.py",
                (
                    "from rest_framework.permissions import AllowAny\nclass V:\n    permission_classes = "
                    "[AllowAny]\n"
                ),
            ),
            ("prompts/api.py", "class V:\n    permission_classes = []\n"),
            ("prompts/api.py", "from rest_framework import permissions\nx = permissions.AllowAny\n"),
        ),
        good=(
            (
                "prompts/api.py",
                "class V:\n    permission_classes = [IsMember]\n    authentication_classes = []\n",
            ),
        ),
    )
)
add(
    Rule(
        "csrf-exempt",
        "forms carry a token; a door without one needs a registry entry",
        lambda source: (
            node.lineno
            for node in source.nodes
            if isinstance(node, (ast.Name, ast.Attribute)) and source.name_of(node).endswith("csrf_exempt")
        ),
        bad=(
            (
                "prompts/views.py",
                "from django.views.decorators.csrf import csrf_exempt\n@csrf_exempt\ndef f(r):\n    pass\n",
            ),
        ),
        good=(
            (
                "prompts/views.py",
                "from django.views.decorators.csrf import csrf_protect\n@csrf_protect\ndef f(r):\n    pass\n",
            ),
        ),
    )
)


def _all_fields(source: Source) -> Iterator[int]:
    for node in source.nodes:
        names = (
            [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign)
            else []
        )
        if "fields" in names and isinstance(node.value, ast.Constant) and node.value.value == "__all__":
            yield node.lineno


add(
    Rule(
        "all-fields",
        "forms and serializers name their fields: '__all__' opens the next column to everyone",
        _all_fields,
        bad=(("prompts/api.py", "class Meta:\n    fields = '__all__'\n"),),
        good=(("prompts/api.py", "class Meta:\n    fields = ['name']\n__all__ = ['x']\n"),),
    )
)
FORBIDDEN_ENGINES = ("signed_cookies", "backends.cache")


def _loose_session(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = {
            target.id
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        if targets & {
            "SESSION_COOKIE_DOMAIN",
            "CSRF_COOKIE_DOMAIN",
            "LANGUAGE_COOKIE_DOMAIN",
        } and not is_constant(node.value, None):
            yield node.lineno
        if "SESSION_ENGINE" in targets and any(word in ast.unparse(node.value) for word in FORBIDDEN_ENGINES):
            yield node.lineno


add(
    Rule(
        "session-cookie",
        "cookies belong to one host, sessions to the tenant's database",
        _loose_session,
        bad=(
            ("config/settings/x.py", "SESSION_COOKIE_DOMAIN = '.example.org'\n"),
            ("config/settings/x.py", "SESSION_ENGINE = 'django.contrib.sessions.backends.signed_cookies'\n"),
        ),
        good=(
            (
                "config/settings/x.py",
                "SESSION_COOKIE_DOMAIN = None\nSESSION_ENGINE = 'django.contrib.sessions.backends.db'\n",
            ),
        ),
    )
)
HEAVY = {"torch", "transformers", "peft", "trl", "accelerate", "datasets"}
add(
    Rule(
        "ml-import",
        "tensor libraries live in training/ml and runtimes/ml: no web process imports them",
        imports_of(lambda name: name.split(".")[0] in HEAVY),
        bad=(
            ("rag/a.py", "import torch\n"),
            ("training/services.py", "def f():\n    from transformers import AutoModel\n"),
        ),
        good=(("training/ml/a.py", "import torch\n"), ("rag/a.py", "from training.datasets import x\n")),
        allowed=("training/ml/*", "runtimes/ml/*"),
    )
)
add(
    Rule(
        "page-cache",
        "whole pages are never cached: they hold one tenant's and one user's data",
        lambda source: [
            *calls_named(lambda name: name.rpartition(".")[2] == "cache_page")(source),
            *imports_of(lambda name: name.endswith("cache_page"))(source),
            *(
                node.lineno
                for node in source.nodes
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.startswith("django.middleware.cache.")
            ),
        ],
        bad=(
            ("prompts/views.py", "from django.views.decorators.cache import cache_page\n"),
            ("config/settings/x.py", "MIDDLEWARE = ['django.middleware.cache.UpdateCacheMiddleware']\n"),
        ),
        good=(("prompts/views.py", "from django.views.decorators.cache import never_cache\n"),),
    )
)
