"""Rules against running foreign code, weak cryptography and careless processes."""

from __future__ import annotations

import ast
import re
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
PICKLES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
add(
    Rule(
        "pickle",
        "unpickling runs code: JSON, safetensors or a typed schema instead",
        imports_of(lambda name: name.split(".")[0] in PICKLES),
        bad=(
            ("rag/a.py", "import pickle\n"),
            ("rag/a.py", "from marshal import loads\n"),
            ("rag/a.py", "import numpy, joblib as j\n"),
        ),
        good=(("rag/a.py", "import json\nfrom tenants import pickles\n"),),
    )
)
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


def _unsafe_yaml(source: Source) -> Iterator[int]:
    for call, name in source.calls:
        if name in ("yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"):
            yield call.lineno
        elif name in ("yaml.load", "yaml.load_all"):
            loader = argument(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
            if loader is None or "SafeLoader" not in source.name_of(loader):
                yield call.lineno


add(
    Rule(
        "yaml-load",
        "yaml.safe_load only",
        _unsafe_yaml,
        bad=(
            ("training/a.py", "import yaml\nyaml.load(text)\n"),
            ("training/a.py", "from yaml import load, Loader\nload(text, Loader=Loader)\n"),
        ),
        good=(
            (
                "training/a.py",
                "import yaml\nyaml.safe_load(text)\nyaml.load(text, Loader=yaml.CSafeLoader)\n",
            ),
        ),
    )
)
SHELLS = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell",
    "pty.spawn",
}
add(
    Rule(
        "shell",
        "no shell: subprocess gets a list of arguments",
        lambda source: [
            *calls_named(lambda name: name in SHELLS)(source),
            *calls_named(
                lambda name: name.startswith("subprocess."),
                lambda call: not is_constant(argument(call, "shell") or FALSE, False),
            )(source),
        ],
        bad=(
            ("tenants/a.py", "import os\nos.system(text)\n"),
            ("tenants/a.py", "from subprocess import run\nrun(text, shell=True)\n"),
        ),
        good=(("tenants/a.py", "import subprocess\nsubprocess.run(['ls'], shell=False)\n"),),
    )
)
add(
    Rule(
        "mktemp",
        "tempfile.mktemp is a race",
        calls_named(lambda name: name == "tempfile.mktemp"),
        bad=(("rag/a.py", "from tempfile import mktemp\np = mktemp()\n"),),
        good=(("rag/a.py", "import tempfile\ntempfile.mkstemp()\n"),),
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


SECRETISH = re.compile(
    r"secret|token|password|nonce|salt|otp|api_?key|(?:^|_)key(?:$|_)|session_?id|code$", re.I
)


def _weak_random(source: Source) -> Iterator[int]:
    """Calls of `random` whose value, or whose function, is named like a secret; uuid1 anywhere."""
    for call, name in source.calls:
        if name == "uuid.uuid1":
            yield call.lineno
        if not name.startswith("random.") or name == "random.SystemRandom":
            continue
        node: ast.AST | None = call
        while node is not None:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            names = [source.name_of(target) for target in targets] + (
                [node.name] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
            )
            names += [node.arg] if isinstance(node, ast.keyword) and node.arg else []
            if any(SECRETISH.search(text.rpartition(".")[2]) for text in names):
                yield call.lineno
                break
            node = getattr(node, "parent", None)


add(
    Rule(
        "weak-random",
        "secrets come from `secrets`, ids from uuid7: random and uuid1 can be foretold",
        _weak_random,
        bad=(
            ("accounts/a.py", "import random\ntoken = ''.join(random.choices(letters, k=40))\n"),
            ("accounts/a.py", "from random import choice\ndef make_password():\n    return choice(words)\n"),
            ("accounts/a.py", "import uuid\nshare = uuid.uuid1()\n"),
        ),
        good=(
            (
                "accounts/a.py",
                "import random, secrets\ndelay = random.uniform(0, 1)\ntoken = secrets.token_urlsafe()\n",
            ),
        ),
    )
)
WEAK_HASHES = {"md5", "sha1"}


def _weak_hash(source: Source) -> Iterator[int]:
    for call, name in source.calls:
        room, _, kind = name.rpartition(".")
        if room == "hashlib" and kind == "new" and call.args and isinstance(call.args[0], ast.Constant):
            kind = str(call.args[0].value).lower()
        if (
            room == "hashlib"
            and kind in WEAK_HASHES
            and not is_constant(argument(call, "usedforsecurity"), False)
        ):
            yield call.lineno


add(
    Rule(
        "weak-hash",
        "SHA-256, or say usedforsecurity=False",
        _weak_hash,
        bad=(
            ("rag/a.py", "from hashlib import md5\nmd5(b)\n"),
            ("rag/a.py", "import hashlib\nhashlib.new('SHA1')\n"),
        ),
        good=(("rag/a.py", "import hashlib\nhashlib.md5(b, usedforsecurity=False)\nhashlib.sha256(b)\n"),),
    )
)


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
