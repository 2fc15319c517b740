"""What of a provider's delta is the answer, whatever form its content has."""

import pytest

from prompts.answers import _text_of


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hello", "Hello"),
        (None, ""),
        (7, ""),
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], "Hello"),
        # Mistral's models that think
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "So…"}]}], ""),
        (["x", {"text": 5}, None], ""),
    ],
)
def test_parts_are_put_together_and_thoughts_left_out(content, text):
    assert _text_of(content) == text
