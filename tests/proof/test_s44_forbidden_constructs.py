"""S44: the product holds no forbidden construct; each rule of the lint catches its planted bug."""

from __future__ import annotations

import pytest

from tests.proof.lint import rules_code, rules_io, rules_style, rules_web  # noqa: F401  they enter themselves
from tests.proof.lint.engine import RULES, Permit, Rule, Source, find_all, product_files, read_registry

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
    permit = Permit("print", "usage/a.py", "progress", "Progress of a long import goes to the terminal.")
    source = Source("usage/a.py", "print('progress')\nprint('other')\n")
    findings = find_all([source], [permit])
    assert [finding.line for finding in findings] == [2]
    assert permit.used
