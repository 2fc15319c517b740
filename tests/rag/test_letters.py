"""The best once more, by the letters that they share with the question."""

from rag.engines.pgvector.letters import list_parts, rank_by_letters


def test_a_part_of_a_compound_and_a_slip_are_found():
    ranking = [(1, 0.60), (2, 0.58), (3, 0.1)]
    texts = {1: "Das Schiff liegt im Hafen.", 2: "Die Ladebereitschaft des Schiffes", 3: "Nichts davon"}
    order = [key for key, _score in rank_by_letters("Wann ist das Schiff bereit?", "de", ranking, texts)]
    assert order == [2, 1, 3]
    scores = [score for _key, score in rank_by_letters("Schif", "de", ranking, texts)]
    assert scores == sorted(scores, reverse=True) and max(scores) <= 1


def test_what_says_nothing_changes_nothing():
    ranking = [(1, 0.6), (2, 0.5)]
    assert rank_by_letters("und wie?", "de", ranking, {1: "a", 2: "und"}) == ranking
    assert list_parts("Ist 海港 offen?", "de") == ["海港", "offe", "ffen"]
