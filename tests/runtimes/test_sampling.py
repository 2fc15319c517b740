"""Sampling by Gumbel noise draws from the distribution it should, and repeats for a seed."""

import pytest

torch = pytest.importorskip("torch")

from runtimes.ml.sampling import penalize, perturb  # noqa: E402 - needs torch

SCORES = torch.tensor([2.0, 1.0, 0.0, -1.0])


def draw(count: int, **options) -> torch.Tensor:
    """Relative frequencies of `count` draws, one per token index."""
    tokens = [int(perturb(SCORES, seed=7, token_index=index, **options).argmax()) for index in range(count)]
    return torch.bincount(torch.tensor(tokens), minlength=4) / count


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(temperature):
    expected = torch.softmax(SCORES / temperature, dim=-1)
    assert torch.allclose(draw(4000, temperature=temperature, top_p=1.0), expected, atol=0.03)


def test_top_p_cuts_the_tail():
    frequencies = draw(500, temperature=1.0, top_p=0.7)
    assert frequencies[2:].sum() == 0
    assert frequencies[1] > 0


def test_a_seed_and_a_token_index_give_one_draw():
    options = {"seed": -5, "token_index": 3, "temperature": 1.0, "top_p": 1.0}
    assert torch.equal(perturb(SCORES, **options), perturb(SCORES, **options))
    assert not torch.equal(perturb(SCORES, **options), perturb(SCORES, **{**options, "token_index": 4}))


def test_words_that_were_said_are_held_back_whatever_the_sign_of_their_score():
    scores = SCORES.clone()
    penalize(scores, torch.tensor([0, 3]), 2.0)
    assert scores.tolist() == [1.0, 1.0, 0.0, -2.0]
