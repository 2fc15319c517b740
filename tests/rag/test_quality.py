"""How good the search is, on a sample of the development sets: what falls below its figures fails here.

Better on this sample and worse elsewhere is no gain: `python -m bench rag` measures the whole sets.
"""

import pytest

from tests.rag.measure import fill, gains, interval, ndcg, rank, read_set
from tests.rag.sample_of_sets import FOLDER, StoredVectors

pytestmark = pytest.mark.django_db
# nDCG@10 by words, by vectors, by both, and by names followed from these
FIGURES = {
    "xquad-de": (0.9181, 0.9710, 0.9699, 0.9699),
    "xquad-en": (0.9772, 0.9917, 0.9877, 0.9877),
    "xquad-zh": (0.9710, 0.9643, 0.9884, 0.9884),
}
GAINED = 0.15  # of the questions, all of whose passages are found by names and not without
ROUNDING = 0.002  # between processors


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_the_search_is_as_good_as_it_was(name):
    test_set, embed = read_set(FOLDER / name), StoredVectors(FOLDER / name / "vectors.bin")
    rankings = rank(test_set, fill(test_set, embed), embed)
    found = {
        leg: sum(ndcg(ranking[key], test_set.gold[key]) for key in test_set.questions)
        / len(test_set.questions)
        for leg, ranking in rankings.items()
    }
    for (leg, figure), least in zip(found.items(), FIGURES[name], strict=True):
        assert figure >= least - ROUNDING, (leg, found)
    assert found["fused"] >= max(found["words"], found["vectors"]) - 0.01, found
    assert found["graph"] >= found["fused"] - 0.005, "what one passage answers loses nothing"


def test_following_names_finds_what_several_passages_answer():
    """By words alone, so that no vectors need be stored. Each question needs two to four passages."""
    test_set = read_set(FOLDER / "musique-multihop-en")
    rankings = rank(test_set, fill(test_set, None), None, ("fused", "graph"))
    gained = gains(test_set, rankings, "all-gold@10")
    low, _high = interval(gained)
    assert low > 0 and sum(gained) / len(gained) >= GAINED, (low, sum(gained) / len(gained))
