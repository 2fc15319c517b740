"""Texts that code puts together of translated ones: whole sentences, or the functions of foundation.spacing.

Guards against: `+`, f-strings and `join` that set a translated text beside another one with nothing, a space
or a colon between them, and templates that do so outside of a sentence.
Does not cover: a translated text that a variable holds under a name which does not say so.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template import engines
from django.utils import translation

from foundation import told
from foundation.spacing import join_texts, label_value

ROOT = Path(__file__).parents[2]
ROOMS = "accounts administration config foundation gateway models_registry prompts rag rest tenants usage"
WORD_FOR_WORD = {"management", "migrations", "ml", "parsing"}  # English for operators, code, others' texts
TRANSLATE = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
SAYS = re.compile(r"^(get_\w+_display|_?(say|show|tell)_\w+|date_format|name_role|role_label|label_kind)$")
NAMES = {"label", "title", "heading", "verbose_name", "verbose_name_plural", "messages"}
SPACE_OR_COLON = re.compile(r"^:? *$")
# what stands in one line of a template, where no tag parts it
PIECE = r"{% *(?:translate|blocktranslate|endblocktranslate)(?:(?! as )[^%])*%}"
IN_TEMPLATES = re.compile(rf"{PIECE}(?:: ?| +)(?:{{{{|{{%|<span)|}}}}(?:: ?| +){PIECE}")


def _called(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "id", getattr(function, "attr", ""))


def is_translated(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return is_translated(node.left)
    if isinstance(node, ast.BinOp | ast.IfExp):
        sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.body, node.orelse)
        return any(map(is_translated, sides))
    if isinstance(node, ast.Call):
        is_said = _called(node) in TRANSLATE or SAYS.match(_called(node))
        return bool(is_said) or (_called(node) in {"str", "capfirst"} and any(map(is_translated, node.args)))
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return is_translated(node.elt)
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id == "LABELS"
    name = getattr(node, "attr", getattr(node, "id", ""))
    return name in NAMES


def _touches(text: ast.JoinedStr) -> bool:
    """Whether two values, one of them translated, stand beside each other."""
    values = text.values
    for at, value in enumerate(values):
        if not isinstance(value, ast.FormattedValue):
            continue
        following = values[at + 1 : at + 3]
        if following and isinstance(following[0], ast.Constant):
            if not SPACE_OR_COLON.match(str(following[0].value)):
                continue
            following = following[1:]
        if following and any(is_translated(one.value) for one in (value, following[0])):
            return True
    return False


def find_in_code(source: str) -> list[int]:
    """The lines where a translated text is set beside another."""
    tree = ast.parse(source)
    knows_itself = any(  # its `+` keeps to the rule
        isinstance(node, ast.ImportFrom) and node.module == "foundation.told" for node in ast.walk(tree)
    )
    return sorted({node.lineno for node in ast.walk(tree) if _is_put_together(node, knows_itself)})


def _is_put_together(node: ast.AST, knows_itself: bool) -> bool:
    if isinstance(node, ast.JoinedStr):
        return _touches(node)
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Add):
        sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
        return not knows_itself and any(_called(_text_of(side)) in TRANSLATE for side in sides)
    if isinstance(node, ast.Call) and _called(node) == "join" and isinstance(node.func, ast.Attribute):
        between = node.func.value
        is_bare = isinstance(between, ast.Constant) and str(between.value).strip() == ""
        return is_bare and "\n" not in str(between.value) and any(map(is_translated, node.args))
    return False


def _text_of(node: ast.expr) -> ast.expr:
    return node.left if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) else node


def list_modules() -> Iterator[Path]:
    for room in ROOMS.split():
        for path in sorted((ROOT / room).rglob("*.py")):
            if not WORD_FOR_WORD & {*path.parts}:
                yield path


def test_no_code_sets_a_translated_text_beside_another_by_itself():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in list_modules()
        for line in find_in_code(path.read_text())
    ]
    assert found == []


def test_no_template_does():
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sorted((ROOT / "templates").rglob("*.*"))
        for match in IN_TEMPLATES.finditer(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        'text += " " + _("Again.")',
        '_("One.") + _("Two.") % {"a": 1}',
        'f"{row.label}: {amount}"',
        'f"{name} {row.get_kind_display()}"',
        'f"{label}{show_money(1)}"',
        '" ".join(exc.messages)',
        '"".join(say_gap(gap) for gap in gaps)',
    ],
)
def test_planted_bug_each_way_in_code_is_found(planted):
    assert find_in_code(planted) == [1]


@pytest.mark.parametrize(
    "planted",
    [
        '{% translate "In:" %} {{ name }}',
        '{% translate "A" %}: {% translate "B" %}',
        '{{ name }} {% translate "x" %}',
    ],
)
def test_planted_bug_each_way_in_templates_is_found(planted):
    assert IN_TEMPLATES.search(planted)


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["Too short.", "", "Too simple."], "Too short. Too simple."),
        (["太短。", "太简单。"], "太短。太简单。"),
        (["太短。", "API 密钥"], "太短。API 密钥"),
        (["输入", "€1"], "输入 €1"),
        (["输入", "文字"], "输入文字"),
        (["模型", "GPT  4"], "模型 GPT  4"),
    ],
)
def test_texts_one_after_the_other_have_a_space_where_their_script_has_one(texts, joined):
    assert join_texts(texts) == joined


def test_a_label_and_told_sentences_read_as_their_reader_writes():
    source = "{{ 'API'|label_value:'<b>' }}"
    template = engines["django"].from_string(source)
    with translation.override("zh-hans"):
        assert label_value("语言", "API") == "语言：API" and template.render() == "API：&lt;b&gt;"
        said = told.gettext("Page not found") + " " + told.gettext("Page not found")
        assert " " not in said and said.count("。") + said.count("到") >= 2, said
        assert told.read(said.kept) == said
    with translation.override("en"):
        assert told.read(said.kept) == "Page not found Page not found"
