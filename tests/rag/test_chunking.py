"""Passages: never across a heading, never too long, always where they say they stand."""

import random
from itertools import pairwise

import pytest

from rag.chunking import cut
from rag.parsed import ParsedBlock

ALL = ["en", "de", "zh"]


def blocks_of(*parts: tuple) -> tuple[list[ParsedBlock], str]:
    """Blocks of (kind, text, headings, page), and the document's text."""
    blocks, at = [], 0
    for kind, text, headings, page in parts:
        blocks.append(ParsedBlock(text, kind, page, headings, at, at + len(text)))
        at += len(text) + 2
    return blocks, "\n\n".join(text for _kind, text, _headings, _page in parts)


def test_paragraphs_are_packed_and_pages_counted():
    blocks, text = blocks_of(
        ("paragraph", "One.", (), 1), ("paragraph", "Two.", (), 2), ("paragraph", "Three." * 50, (), 3)
    )
    first, *_rest = found = cut(blocks, limit=200, languages=ALL)
    assert (first.text, first.page_from, first.page_to) == ("One.\n\nTwo.", 1, 2)
    assert all(text[passage.char_from : passage.char_to] == passage.text for passage in found)


def test_a_heading_ends_a_passage_and_stands_with_the_next():
    blocks, _text = blocks_of(
        ("heading", "A", (), 1),
        ("paragraph", "Of A.", ("A",), 1),
        ("heading", "B", ("A",), 1),
        ("paragraph", "Of B.", ("A", "B"), 2),
        ("heading", "Nothing below", (), 2),
    )
    found = [(passage.headings, passage.text) for passage in cut(blocks, limit=900, languages=ALL)]
    assert found == [(("A",), "Of A."), (("A", "B"), "Of B."), ((), "Nothing below")]


def test_long_paragraphs_are_cut_between_sentences_with_one_in_common():
    text = " ".join(f"Sentence number {number} is here." for number in range(40))
    found = cut([ParsedBlock(text, char_to=len(text))], limit=200, languages=ALL)
    assert all(passage.text.endswith(".") and len(passage.text) <= 200 for passage in found)
    for earlier, later in pairwise(found):
        assert later.text.startswith(earlier.text[earlier.text.rindex("Sentence") :])
    assert {f"number {number} " in passage.text for number in range(40) for passage in found} == {True, False}
    assert all(any(f"number {number} " in passage.text for passage in found) for number in range(40))


def test_chinese_passages_are_half_as_long():
    text = "这是一个很长的句子，没有空格。" * 60
    found = cut([ParsedBlock(text, char_to=len(text))], limit=400, languages=ALL)
    assert {passage.language for passage in found} == {"zh"}
    assert all(len(passage.text) <= 200 and passage.text.endswith("。") for passage in found)


def test_tables_keep_their_first_row():
    rows = ["name | price", *(f"thing {number} | {number}" for number in range(50))]
    blocks = [ParsedBlock("\n".join(rows), "table", char_to=len("\n".join(rows)))]
    found = cut(blocks, limit=200, languages=ALL)
    assert len(found) > 3 and all(passage.text.startswith("name | price\n") for passage in found)
    assert all(len(passage.text) <= 200 for passage in found)
    assert [row for passage in found for row in passage.text.splitlines()[1:]] == rows[1:]


@pytest.mark.parametrize("header", ["name | about", "a column of many | " * 40])
def test_a_row_that_is_too_long_is_cut_and_loses_nothing(header):
    words = [f"word{number}" for number in range(300)]
    text = "\n".join([header.rstrip(" |"), f"thing | {' '.join(words)}", "other | short"])
    found = cut([ParsedBlock(text, "table", char_to=len(text))], limit=200, languages=ALL)
    assert max(len(passage.text) for passage in found) <= 200
    spans = [text[passage.char_from : passage.char_to] for passage in found]
    assert " ".join(spans).split() == text.split()
    is_repeated = [passage.text.startswith("name | about\n") for passage in found[1:]]
    assert all(is_repeated) if header.startswith("name") else not any(is_repeated)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_nothing_is_lost_and_every_span_is_true(seed):
    chance = random.Random(seed)
    letters = "ab c.d。\n é字!?;  "
    parts = [
        ("paragraph", "".join(chance.choices(letters, k=chance.randrange(1, 900))), (), page)
        for page in range(chance.randrange(1, 8))
    ]
    blocks, text = blocks_of(*parts)
    covered = set()
    for passage in cut(blocks, limit=200, languages=ALL):
        assert passage.text and len(passage.text) <= 200
        assert text[passage.char_from : passage.char_to].split() == passage.text.split()
        covered.update(range(passage.char_from, passage.char_to))
    assert [text[at] for at in range(len(text)) if at not in covered and not text[at].isspace()] == []
