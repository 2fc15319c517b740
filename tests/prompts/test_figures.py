"""Figures of an answer beside what it cites: in the three languages' ways to write them."""

import pytest
from django.utils.translation import override

from foundation.ids import uuid7
from prompts.drafts import Piece
from prompts.figures import list_missing, list_unsaid
from prompts.knowledge import Ground
from prompts.models import Part
from prompts.passages import Passages
from prompts.sources import Shown, Source
from rag.context import Excerpt


def excerpt(text: str, **columns) -> Excerpt:
    return Excerpt(uuid7(), uuid7(), "Rules 2024", text, **columns)


@pytest.mark.parametrize(
    ("passage", "answer", "missing"),
    [
        ("Thirty days of leave, twenty-five of them in summer.", "It is 30 days, 25 in summer [1].", []),
        ("There are 30 days of leave.", "There are 35 days of leave [1].", ["35"]),
        ("Dreißig Tage, höchstens fünfunddreißig.", "Es sind 30, höchstens 36 Tage [1].", ["36"]),
        ("The fine is €1,234.56.", "Die Strafe beträgt 1.234,56 € [1].", []),
        ("Die Strafe beträgt 1.234,56 €.", "The fine is 1,234.65 euros [1].", ["1,234.65"]),
        ("1 200 000 people; 12.5 %", "1.2 million people, 12,5 Prozent [1].", []),
        ("Der Umsatz: 3,4 Mrd. Euro", "Revenue was 3.4 billion, not 3.4 million [1].", []),
        ("It rose by 3.4 million.", "It rose by 3.4 [1]. It rose by 4.3 million [1].", ["4.3 million"]),
        ("On 12 March 2026 it ends.", "Es endet am 12.03.2026 [1].", []),
        ("On 12 March 2026 it ends.", "Es endet am 13.03.2026 [1].", ["13.03.2026"]),
        ("Am 1. Mai 2025 beginnt es.", "It begins on 2025-05-01 [1], or 01/05/25.", []),
        ("每年有三十天假期，金额为三百二十万元。", "每年30天，金额320万元【1】。", []),
        ("每年有三十天假期。", "每年有35天假期。【1】", ["35"]),
        ("百分之十五，二〇二六年３月", "15%，2026年3月 [1]", []),
        (
            "Nothing here.",
            "1. First [1]\n2. Second, as the question's 77 [1]\n`x = 5` [1] Rules 2024 [1]",
            [],
        ),
        ("No. 5", "It says 6. [1] But 7 without a source. And 5 [1].", ["6"]),
        ("A half of it, at most.", "At most 50% [1].", []),
        ("", "In row 1\n| a | 30 | [1] |\n| b | 31 | – |", ["30"]),
    ],
)
def test_figures_that_the_passage_does_not_say_are_found(passage, answer, missing):
    assert list_missing(answer, "What of 77?", {1: excerpt(passage)}).get(1, []) == missing


def test_a_sentence_with_two_sources_rests_on_both_and_each_is_judged_by_its_sentences():
    excerpts = {1: excerpt("Ten days."), 2: excerpt("Twelve days."), 3: excerpt("No figure.", page_from=9)}
    answer = "Either 10 or 12 days [1][2]. Or 12 days [1]. See page 9 [3]. Or 13 days [2, 3]."
    assert list_missing(answer, "", excerpts) == {1: ["12"], 2: ["13"], 3: ["13"]}


def test_an_answer_keeps_what_is_missing_with_its_citation_and_is_not_held_up():
    excerpts = {1: excerpt("Every employee has thirty days of paid leave in a year.")}
    ground = Ground(Passages(excerpts), question="In 2031?")

    def cite(text: str) -> list[dict]:
        pieces = list(ground.cite([Piece(Part.Kind.TEXT, text)]))
        assert pieces[0].text == text
        return [piece.data for piece in pieces[1:]]

    assert cite("There are 31 days in 2031 [1].")[0]["missing_figures"] == ["31"]
    assert "missing_figures" not in cite("There are 30 days in 2031 [1].")[0]
    (unmarked,) = cite("Every employee has 40 days of paid leave in a year.")
    assert unmarked["is_unmarked"] and unmarked["missing_figures"] == ["40"]
    assert list_unsaid("2 days.", "", excerpts[1]) == ["2"]


def test_an_answer_that_names_no_source_shows_what_was_looked_up_for_it():
    excerpts = {place: excerpt(f"Passage {place} of the house.") for place in range(1, 6)}
    ground = Ground(Passages(excerpts, "It is not in the documents."))

    def cite(text: str) -> list[dict]:
        return [piece.data for piece in ground.cite([Piece(Part.Kind.TEXT, text)]) if piece.data]

    told = cite("Atrium answers from your documents.")
    assert [data["number"] for data in told] == [1, 2, 3]
    assert all(data["is_looked_up"] for data in told)
    assert cite("It is not in the documents.") == [] and cite(" ") == [], "no answer rests on nothing"
    assert [data["number"] for data in cite("It is so [4].")] == [4]
    gone = Shown(sources=[Source(1, is_gone=True, is_looked_up=True)])
    assert gone.is_uncited and not Shown(sources=[Source(1)]).is_uncited


def test_the_number_says_what_is_missing_and_not_by_its_colour_alone():
    source = Source(1, "Rules", "page 7", "/source/?document=1", missing=("31", "12 %"))
    html = Shown(sources=[source]).show_number(1)
    assert "is-doubtful" in html and ">1?</a>" in html
    assert html.count("Figures not found in the source: 31 · 12 %") == 2, "for eyes and for ears"
    with override("de"):
        assert "Zahlen in der Quelle nicht gefunden: 31" in Shown(sources=[source]).show_number(1)
