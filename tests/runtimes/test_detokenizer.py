"""Text from tokens: whole characters, and stop strings across borders."""

import random

import pytest
from tokenizers import Tokenizer

from runtimes.ml.detokenizer import Detokenizer, StopFinder


@pytest.fixture(scope="module")
def tokenizer(tiny) -> Tokenizer:
    return Tokenizer.from_file(str(tiny / "tokenizer.json"))


@pytest.mark.parametrize(
    "text", ["Grüße aus Köln", "龘靐齉 und 𠮷野家", "emoji 👩‍👩‍👧‍👦 end", "plain", "  spaces\n\n"]
)
def test_pieces_join_to_the_text_and_none_is_broken(tokenizer, text):
    detokenizer = Detokenizer(tokenizer.decode)
    pieces = [detokenizer.push(token) for token in tokenizer.encode(text).ids]
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)


def test_any_tokens_at_all_never_give_a_broken_character(tokenizer):
    rng = random.Random(1)
    for _ in range(50):
        detokenizer = Detokenizer(tokenizer.decode)
        tokens = [rng.randrange(3, 260) for _ in range(100)]  # mostly single bytes
        assert "�" not in "".join(detokenizer.push(token) for token in tokens)


@pytest.mark.parametrize(
    ("pieces", "stop", "shown"),
    [
        (["Hello wor", "ld, all"], ["world"], "Hello "),
        (["aaa", "ab"], ["aab"], "aa"),
        (["one", "two"], ["x"], "onetwo"),
        (["a<", "|e", "nd"], ["<|end|>"], "a<|end"),
        (["x", "END", "y"], ["END", "D"], "x"),
        (["abc"], [], "abc"),
    ],
)
def test_a_stop_string_is_found_across_pieces(pieces, stop, shown):
    finder = StopFinder(stop)
    assert "".join(finder.push(piece) for piece in pieces) + finder.finish() == shown
