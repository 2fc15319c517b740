"""A message of the assistant's in last place is gone on with, as if the answer had never stopped."""

import pytest

QUESTIONS = ["Was kannst du?", "Who are you?", "你能做什么？"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_goes_on_where_it_was_cut(server, question):
    whole = server.answer(question, temperature=0)
    for tokens in (3, 10):
        begun = server.answer(question, temperature=0, max_tokens=tokens)
        assert begun and begun + server.answer(question, begun, temperature=0) == whole != begun


def test_the_begun_answer_counts_as_read(server):
    question = QUESTIONS[1]
    plain = server.ask(question, temperature=0)
    begun = plain.choices[0].message.content[:20]
    continued = server.ask(question, begun, temperature=0)
    assert continued.usage.prompt_tokens > plain.usage.prompt_tokens
    assert continued.usage.completion_tokens < plain.usage.completion_tokens


@pytest.mark.parametrize("nothing", ["", "  \n", "<|im_end|>"])
def test_where_nothing_was_begun_an_answer_is_given(server, nothing):
    assert server.answer("Hallo", nothing, temperature=0).startswith("Hallo")
