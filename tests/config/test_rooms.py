"""A room stands wherever rooms are listed: one that is missing from a list is checked by nobody."""

import re
import subprocess
import sys
import tomllib

from django.conf import settings

from tests.proof.lint.engine import ROOMS

PROJECT = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"]
CONTRACTS = {contract["name"]: contract for contract in PROJECT["importlinter"]["contracts"]}


def rooms() -> set[str]:
    """Every package at the top of the repository that is part of the product."""
    return {path.parent.name for path in settings.BASE_DIR.glob("*/__init__.py")} - {"tests", "bench"}


def test_each_room_stands_in_every_list():
    layers = {
        name
        for line in CONTRACTS["A room imports only from rooms below it"]["layers"]
        for name in line.split(" | ")
    }
    tensors = set(CONTRACTS["Tensors live in the runtime's ml folder only"]["source_modules"])
    circles = set(CONTRACTS["No circles, inside a room too"]["ancestors"])
    lists = {
        "root_packages": set(PROJECT["importlinter"]["root_packages"]),
        "layers": layers,
        "tensors": tensors | {"runtimes"},
        "circles": {name for name in circles if not name.endswith(".**")},
        "circles inside": {name.removesuffix(".**") for name in circles if name.endswith(".**")},
        "mypy": set(PROJECT["mypy"]["files"]),
        "lint": set(ROOMS),
    }
    assert len(rooms()) > 10
    assert {name: sorted(found ^ rooms()) for name, found in lists.items() if found != rooms()} == {}


def test_the_documents_name_each_room():
    for document in ("CONTRIBUTING.md", "docs/architecture.md"):
        text = (settings.BASE_DIR / document).read_text()
        assert [room for room in sorted(rooms()) if not re.search(rf"\b{room}\b", text)] == [], document


def count_registered(pattern: str) -> int:
    return sum(
        len(re.findall(pattern, path.read_text(), re.MULTILINE))
        for room in rooms()
        for path in (settings.BASE_DIR / room).rglob("*.py")
    )


def test_a_worker_knows_each_kind_of_work_and_each_duty_before_it_has_seen_a_page():
    """Where the function that carries a duty out is imported by its room's `apps.py`."""
    script = (
        "import django; django.setup(); from tenants.work import duties; "
        "from tenants.work.kinds import list_all_kinds; "
        "print(*(kind.name for kind in list_all_kinds())); print(*sorted(duties._workers))"
    )
    known = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    kinds, workers = (line.split() for line in known)
    assert len(kinds) == count_registered(r"^(?:\w+ = )?work_kind\(")
    assert "answers" in workers and len(workers) == count_registered(r"^@duty\(") > 5
