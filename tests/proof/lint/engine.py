"""Files, findings, rules, and the registry of exceptions.

Covers: Python of the product's rooms by AST with resolved imports, templates and own scripts by text.
Does not cover: tests, benches, vendored libraries; names built at run time (`getattr(x, "ev" + "al")`).
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROOMS = (
    "config",
    "foundation",
    "launcher",
    "tenants",
    "administration",
    "rest",
    "accounts",
    "usage",
    "models_registry",
    "runtimes",
    "gateway",
    "prompts",
    "rag",
)
REGISTRY = Path(__file__).parent / "registry.toml"


class Source:
    """One file: its path relative to the root, its text, and for Python its tree."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, with its parent in `.parent`; in the order of `ast.walk`."""
        nodes: list[ast.AST] = [self.tree]
        for node in nodes:  # grows meanwhile
            for child in ast.iter_child_nodes(node):
                child.parent = node  # type: ignore[attr-defined]
                nodes.append(child)
        return nodes

    @cached_property
    def imports(self) -> dict[str, str]:
        """Local name → full dotted name, for all imports of the file."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    names[alias.asname or alias.name] = (
                        f"{'.' * node.level}{node.module or ''}.{alias.name}".lstrip(".")
                    )
        return names

    def name_of(self, node: ast.AST) -> str:
        """The full dotted name of a name or attribute, imports resolved; what is no name (a call, an index)
        stands as `()`.
        """
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.name_of(node.value)}.{node.attr}"
        return f"{self.name_of(node.func)}()" if isinstance(node, ast.Call) else "()"

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call with the full name of what is called."""
        return [(node, self.name_of(node.func)) for node in self.nodes if isinstance(node, ast.Call)]

    def is_in(self, patterns: Iterable[str]) -> bool:
        """Whether the path matches one of the patterns (`*` also matches `/`)."""
        return any(fnmatch(self.path, pattern) for pattern in patterns)


Check = Callable[[Source], Iterator[int]]
Sample = tuple[str, str]  # path, text


@dataclass(frozen=True, slots=True)
class Finding:
    """A forbidden construct at a line."""

    rule: str
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.text.strip()[:120]}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One construct. `check` yields line numbers; `allowed` are the modules whose very purpose it is;
    `bad` and `good` are its own test.
    """

    id: str
    says: str
    check: Check
    bad: tuple[Sample, ...]
    good: tuple[Sample, ...]
    kinds: tuple[str, ...] = (".py",)
    allowed: tuple[str, ...] = ()

    def apply(self, source: Source) -> list[Finding]:
        """The findings in a file."""
        if not source.path.endswith(self.kinds) or source.is_in(self.allowed):
            return []
        return [
            Finding(self.id, source.path, line, source.lines[line - 1] if line <= len(source.lines) else "")
            for line in sorted(set(self.check(source)))
        ]


RULES: dict[str, Rule] = {}


def add(rule: Rule) -> None:
    """Enter a rule; its id must be new."""
    if rule.id in RULES:
        raise ValueError(f"two rules are called {rule.id}")
    RULES[rule.id] = rule


@dataclass(slots=True)
class Permit:
    """An entry of the registry: this rule may be broken in this file, in lines that contain this text."""

    rule: str
    path: str
    contains: str
    reason: str
    used: bool = field(default=False)

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and finding.path == self.path and self.contains in finding.text


def read_registry() -> list[Permit]:
    """The exceptions."""
    return [Permit(**entry) for entry in tomllib.loads(REGISTRY.read_text()).get("permit", [])]


def product_files() -> Iterator[Source]:
    """Every file of the product that a rule may look at."""
    for path in sorted(_product_paths()):
        name = path.relative_to(ROOT).as_posix()
        if "/vendor/" not in f"/{name}":
            yield Source(name, path.read_text(encoding="utf-8"))


def _product_paths() -> Iterator[Path]:
    if (ROOT / "manage.py").exists():
        yield ROOT / "manage.py"
    for room in ROOMS:
        yield from (ROOT / room).rglob("*.py")
        yield from (ROOT / room).rglob("*.html")
    yield from (ROOT / "templates").rglob("*.html")
    yield from (ROOT / "static").rglob("*.js")


def find_all(sources: Iterable[Source], permits: list[Permit]) -> list[Finding]:
    """Every finding that no permit covers; marks the permits that were needed."""
    findings: list[Finding] = []
    for source in sources:
        for rule in RULES.values():
            for finding in rule.apply(source):
                covering = [permit for permit in permits if permit.covers(finding)]
                for permit in covering:
                    permit.used = True
                if not covering:
                    findings.append(finding)
    return findings
