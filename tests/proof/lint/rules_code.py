"""Rules against running foreign code, weak cryptography and careless processes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .engine import Check, Rule, Source, add


def calls_named(test: Callable[[str], bool], also: Callable[[ast.Call], bool] = lambda call: True) -> Check:
    """Lines of calls whose full name passes the test."""

    def check(source: Source) -> Iterator[int]:
        return (call.lineno for call, name in source.calls if test(name) and also(call))

    return check


def imports_of(test: Callable[[str], bool]) -> Check:
    """Lines that import a module whose dotted name passes the test."""

    def check(source: Source) -> Iterator[int]:
        for node in source.nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if any(map(test, names)):
                yield node.lineno

    return check


def argument(call: ast.Call, name: str) -> ast.expr | None:
    """A keyword argument's value."""
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def is_constant(node: ast.AST | None, value: object) -> bool:
    """Whether a node is exactly this constant."""
    return isinstance(node, ast.Constant) and node.value is value


FALSE = ast.Constant(False)
add(
    Rule(
        "torch-load",
        "checkpoints are safetensors; torch.load and allow_pickle run code or corrupt memory",
        lambda source: (
            call.lineno
            for call, name in source.calls
            if name in ("torch.load", "torch.jit.load") or is_constant(argument(call, "allow_pickle"), True)
        ),
        bad=(
            ("training/ml/a.py", "import torch as t\nw = t.load(path, weights_only=True)\n"),
            ("rag/a.py", "import numpy as np\nnp.load(f, allow_pickle=True)\n"),
        ),
        good=(("training/ml/a.py", "from safetensors.torch import load_file\nw = load_file(path)\n"),),
    )
)
add(
    Rule(
        "dynamic-code",
        "no eval, exec, compile or __import__",
        calls_named(lambda name: name.removeprefix("builtins.") in {"eval", "exec", "compile", "__import__"}),
        bad=(
            ("agents/a.py", "eval(text)\n"),
            ("agents/a.py", "import builtins\nbuiltins.exec(text)\n"),
            ("agents/a.py", "code = compile(text, 'x', 'exec')\n"),
        ),
        good=(("agents/a.py", "import re\nre.compile('x')\nmodel.eval()\n"),),
    )
)
add(
    Rule(
        "remote-code",
        "trust_remote_code runs what a model's author wrote",
        calls_named(
            lambda name: True,
            lambda call: not is_constant(argument(call, "trust_remote_code") or FALSE, False),
        ),
        bad=(("runtimes/ml/a.py", "AutoModel.from_pretrained(p, trust_remote_code=True)\n"),),
        good=(("runtimes/ml/a.py", "AutoModel.from_pretrained(p, trust_remote_code=False)\n"),),
    )
)


add(
    Rule(
        "archive-extract",
        "extractall of a stranger's archive writes where it wants: member by member, or tar's filter='data'",
        calls_named(
            lambda name: name.endswith(".extractall") or name.endswith("shutil.unpack_archive"),
            lambda call: not _has_data_filter(call),
        ),
        bad=(
            ("training/a.py", "archive.extractall(folder)\n"),
            ("training/a.py", "import shutil\nshutil.unpack_archive(p)\n"),
        ),
        good=(("training/a.py", "archive.extractall(folder, filter='data')\n"),),
    )
)


def _has_data_filter(call: ast.Call) -> bool:
    value = argument(call, "filter")
    return isinstance(value, ast.Constant) and value.value == "data"


def _unverified_tls(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if (
            isinstance(node, ast.keyword)
            and node.arg in ("verify", "ssl", "verify_ssl", "check_hostname")
            and is_constant(node.value, False)
        ):
            yield node.value.lineno
        elif isinstance(node, ast.Assign) and is_constant(node.value, False):
            yield from (
                target.lineno for target in node.targets if source.name_of(target).endswith(".check_hostname")
            )
        elif isinstance(node, ast.Attribute) and node.attr in ("CERT_NONE", "_create_unverified_context"):
            yield node.lineno


add(
    Rule(
        "tls-verify",
        "certificates are always checked",
        _unverified_tls,
        bad=(
            ("rag/a.py", "client.get(url, verify=False)\n"),
            ("rag/a.py", "import ssl\nc.verify_mode = ssl.CERT_NONE\n"),
            ("rag/a.py", "context.check_hostname = False\n"),
        ),
        good=(("rag/a.py", "client.get(url, verify=context)\n"),),
    )
)
