"""S44: the product holds no forbidden construct; each rule of the lint, and of ruff for what it has, catches
its planted bug.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.lint import rules_code, rules_io, rules_style, rules_web  # noqa: F401  they enter themselves
from tests.proof.lint.engine import ROOT, RULES, Permit, Rule, Source, find_all, product_files, read_registry

MOST_PERMITS = 15


def test_the_product_holds_no_forbidden_construct() -> None:
    permits = read_registry()
    findings = find_all(product_files(), permits)
    stale = [f"{permit.rule} in {permit.path}" for permit in permits if not permit.used]
    assert not findings, "forbidden constructs:\n" + "\n".join(
        f"{finding}   → {RULES[finding.rule].says}" for finding in findings
    )
    assert not stale, f"permits that nothing needs any more: {stale}"


def test_the_registry_is_short_and_says_why() -> None:
    permits = read_registry()
    assert len(permits) <= MOST_PERMITS
    for permit in permits:
        assert permit.rule in RULES
        assert len(permit.reason.split()) >= 5, f"{permit.path}: a reason is a sentence"


def test_there_are_thirty_rules() -> None:
    assert len(RULES) >= 30


# What ruff watches over in `make check`, with its settings in pyproject.toml
RUFF = [
    ("yaml-load", "training/a.py", "import yaml\nyaml.load(text)\n"),
    ("yaml-load", "training/a.py", "from yaml import load, Loader\nload(text, Loader=Loader)\n"),
    ("shell", "tenants/a.py", "import os\nos.system(text)\n"),
    ("shell", "tenants/a.py", "from subprocess import run\nrun(text, shell=True)\n"),
    ("mktemp", "rag/a.py", "from tempfile import mktemp\np = mktemp()\n"),
    ("weak-hash", "rag/a.py", "from hashlib import md5\nmd5(b)\n"),
    ("weak-hash", "rag/a.py", "import hashlib\nhashlib.new('SHA1')\n"),
    ("assert", "usage/a.py", "assert amount >= 0\n"),
    ("print", "usage/services.py", "print('x')\n"),
    ("debugger", "usage/a.py", "breakpoint()\n"),
    ("debugger", "usage/a.py", "import pdb\n"),
    ("naive-time", "usage/a.py", "from datetime import datetime\ndatetime.now()\n"),
    ("naive-time", "usage/a.py", "import datetime as dt\ndt.datetime.utcnow()\n"),
    ("naive-time", "usage/a.py", "from datetime import date\ndate.today()\n"),
    ("naive-time", "usage/a.py", "import datetime\ndatetime.datetime.fromtimestamp(0)\n"),
    ("pickle", "rag/a.py", "import pickle\n"),
    ("pickle", "rag/a.py", "from marshal import loads\n"),
    ("pickle", "rag/a.py", "import numpy, joblib as j\n"),
    ("weak-random", "accounts/a.py", "import random\ntoken = ''.join(random.choices(letters, k=40))\n"),
    (
        "weak-random",
        "accounts/a.py",
        "from random import choice\ndef make_password():\n    return choice(words)\n",
    ),
    ("weak-random", "accounts/a.py", "import uuid\nshare = uuid.uuid1()\n"),
    ("bare-except", "usage/a.py", "try:\n    f()\nexcept:\n    pass\n"),
]


def test_ruff_catches_each_planted_bug(tmp_path: Path) -> None:
    for number, (_name, path, text) in enumerate(RUFF):
        room, _, module = path.partition("/")
        planted = tmp_path / room / f"planted_{number}" / module
        planted.parent.mkdir(parents=True)
        planted.write_text(text)
    command = ["check", "--quiet", "--config", str(ROOT / "pyproject.toml"), "--ignore", "F,I,E402"]
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "--output-format", "json", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 1, checked.stderr
    caught = {Path(found["filename"]).parent.name for found in json.loads(checked.stdout)}
    missed = [entry for number, entry in enumerate(RUFF) if f"planted_{number}" not in caught]
    assert not missed, f"ruff has nothing against {missed}"


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_each_rule_catches_its_planted_bug(rule: Rule) -> None:
    assert rule.bad
    for path, text in rule.bad:
        assert rule.apply(Source(path, text)), f"{rule.id} does not see {text!r}"


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_each_rule_leaves_good_code_alone(rule: Rule) -> None:
    assert rule.good
    for path, text in rule.good:
        assert not rule.apply(Source(path, text)), f"{rule.id} is wrong about {text!r}"


def test_a_permit_covers_its_line_and_no_other() -> None:
    permit = Permit("http-client", "usage/a.py", "kept", "It asks a socket of this machine and no other.")
    source = Source("usage/a.py", "import httpx\nhttpx.get(kept)\nhttpx.get(other)\n")
    findings = find_all([source], [permit])
    assert [finding.line for finding in findings] == [3]
    assert permit.used
