"""The graph of names: found without a model, followed from the best finds, gone with its passages."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from accounts.models import Grant
from accounts.services.grants import grant
from rag import guide
from rag.engines import Question
from rag.engines.table import engine_of
from rag.graph.graphml import NAMESPACE
from rag.graph.names import list_names, list_title_names, normalise
from rag.graph.postgres import FEW
from rag.models import Collection, Entity, Mention
from rag.services import delete_collection, delete_document

pytestmark = pytest.mark.django_db
GUIDE = Path(guide.__file__).parent / "de"
FILM = "The film Quiet Harbour was directed by Mara Lindqvist."
BIRTH = "Mara Lindqvist was born in a village near Visby."


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        ("en", "In 1951 the Bank of England hired Ada King. Costs rose.", "Bank of England|Ada King"),
        ("en", "As Eva Weber said in Costs.xlsx, it is TRUE and FALSE.", "Eva Weber"),
        ("de", "Die Satzung nennt „Haus am See“. Wo Eva Weber die EU lobt.", "Haus am See|Eva Weber|EU"),
        (
            "de",
            "Ziehen Sie Dateien in eine Sammlung von Dokumenten, höchstens 64 MB, und drücken Sie die Taste "
            "Esc. Wählen Sie „Antwort neu erstellen“. Die Strafe Freiheitsstrafe droht nach Absatz 3.",
            "",
        ),
        (
            "de",
            "Gestern lobte die Muster GmbH die Rechte des Europäischen Parlaments. Dann dankte OpenAI in "
            "Berlin dem Europäischen Parlament. Davon schrieb Otto von Bismarck in der Berliner Zeitung.",
            "Muster GmbH|Europäische Parlament|OpenAI|Berlin|Otto von Bismarck|Berliner Zeitung",
        ),
        ("zh", "《红楼梦》是曹雪芹的作品，与“四大名著”及NASA有关。", "红楼梦|四大名著|NASA"),
    ],
)  # fmt: skip
def test_names_are_told_by_how_they_are_written(language, text, names):
    assert list(list_names([text], language)) == [[name for name in names.split("|") if name]]


def test_german_nouns_are_no_names():
    """Of the German guide, of which every second “name” was a noun or two."""
    texts = [text for path in sorted(GUIDE.glob("*.md")) for text in path.read_text().split("\n\n")[1:]]
    found = {normalise(name) for names in list_names(texts, "de") for name in names}
    assert {"openai", "europaische union", "lm studio"} <= found and len(found) < 12, sorted(found)


def test_one_name_has_one_form():
    assert normalise("The Bank’s") == normalise("bank") and normalise("Zürich-West") == "zurich west"
    assert list_title_names("Forest Acres, South Carolina (city)") == [
        "Forest Acres, South Carolina",
        "Forest Acres",
    ]
    assert list_title_names("costs 2031.xlsx") == [], "a file's name is none"


def titles(question: str, *collections: Collection, **more) -> dict[str, tuple[str, ...]]:
    """Title → the names that led to it."""
    here = Collection.objects.filter(pk__in=[row.pk for row in collections])
    hits = engine_of(collections[0]).search(Question(question, here, **more))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    return {hit.title: hit.names for hit in hits}


def test_a_passage_without_a_word_of_the_question_is_found_by_a_name(make_collection, add):
    films, others = make_collection("Films"), make_collection("Others")
    film = add(films, "Quiet Harbour", FILM)
    add(films, "Born near the sea", BIRTH)
    add(others, "Elsewhere", BIRTH)
    question = "Who made the movie Quiet Harbour?"
    assert titles(question, films) == {"Quiet Harbour": (), "Born near the sea": ("Mara Lindqvist",)}
    assert "Elsewhere" not in titles(question, films), "another collection, which was not asked"
    assert set(titles(question, films, follows_names=False)) == {"Quiet Harbour"}
    assert titles("nothing at all", films) == {}, "no find, no way from it"
    assert set(titles(question, films, document_ids=[film.pk])) == {"Quiet Harbour"}, (
        "what a filter leaves out is not reached"
    )
    Collection.objects.filter(pk=films.pk).update(uses_graph=False)
    assert set(titles(question, films)) == {"Quiet Harbour"}, "switched off"


def test_a_title_leads_not_to_the_rest_of_its_document(make_collection, add):
    rules = make_collection("Rules", chunk_characters=200)
    add(rules, "Mara Lindqvist", *(f"{word} " * 25 for word in ("harbour", "beacon", "jetty")))
    here = Collection.objects.filter(pk=rules.pk)
    (hit,) = engine_of(rules).search(Question("harbour", here))
    assert hit.text.startswith("harbour")


def test_what_everybody_says_leads_nowhere(make_collection, add):
    films = make_collection("Films")
    add(films, "Quiet Harbour", FILM)
    for number in range(FEW - 1):
        add(films, f"no {number}", f"{number} Mara Lindqvist again.")
    assert len(titles("movie Quiet Harbour", films)) > 1
    add(films, "no more", "Mara Lindqvist once more.")
    assert set(titles("movie Quiet Harbour", films)) == {"Quiet Harbour"}


def test_names_and_edges_go_with_their_passages(make_collection, add):
    films, others = make_collection("Films"), make_collection("Others")
    film, _birth = add(films, "Quiet Harbour", FILM), add(films, "Birth", BIRTH)
    add(others, "Quiet Harbour", FILM)
    here = Entity.objects.filter(generation_id=films.active_generation_id)
    assert set(here.values_list("name", flat=True)) >= {"Quiet Harbour", "Mara Lindqvist", "Visby"}
    delete_document(actor=None, document=film)
    assert set(here.values_list("name", flat=True)) == {"Mara Lindqvist", "Visby", "Birth"}
    kept = set(Mention.objects.values_list("generation_id", flat=True))
    assert kept == {films.active_generation_id, others.active_generation_id}
    delete_collection(actor=None, collection=films)
    assert not here.exists() and Entity.objects.count() == 2
    assert Mention.objects.exclude(generation_id=others.active_generation_id).count() == 0


def test_its_page_and_its_file_obey_the_rights_of_the_collection(make_collection, add, acme, bob):
    films = make_collection("Films")
    acme.force_login(bob)
    page = f"/knowledge/{films.pk}/graph/"
    assert "No names yet" in acme.get(page).content.decode()
    film, _birth = add(films, "Quiet Harbour", FILM), add(films, "Bir\uffffth\x07", BIRTH)
    shown = acme.get(page).content.decode()
    assert "Mara Lindqvist" in shown and f"/knowledge/documents/{film.pk}/?from=0" in shown
    assert films.documents.filter(title="Bir\uffffth").exists(), "no control character stays in a title"
    answer = acme.get(f"/knowledge/{films.pk}/graph.graphml")
    assert answer["Content-Disposition"].startswith("attachment;")
    root = ET.fromstring(answer.content)
    texts = [row.text for row in root.iter(f"{{{NAMESPACE}}}data") if row.get("key") == "name"]
    assert set(texts) == {"Mara Lindqvist", "Quiet Harbour", "Visby", "Birth"}
    edges = list(root.iter(f"{{{NAMESPACE}}}edge"))
    assert edges and all(any(row.get("key") == "document" for row in edge) for edge in edges)
    grant(actor=None, kind="collection", target="Films", user=bob, effect=Grant.Effect.DENY)
    assert acme.get(page).status_code == acme.get(f"/knowledge/{films.pk}/graph.graphml").status_code == 404
