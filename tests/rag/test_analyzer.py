"""What becomes of words: one function reads documents and questions alike."""

import random

import pytest

from rag.analysis import VERSION, Analyzer, Lexicon, detect_language, learn_lexicon

ENGLISH = [
    ("The theatres were destroyed", ["theatr", "destroy"]),
    ("Warsaw’s and Warsaw's first", ["warsaw", "warsaw", "first"]),
    ("a dual-encoder model", ["dual", "encod", "model"]),
    ("ﬁle ＡＢＣ", ["file", "abc"]),
    ("Café in Ogród Saski", ["cafe", "ogrod", "saski"]),
    ("ISO-9001 in 2019/790", ["iso-9001", "iso", "9001", "2019/790", "2019", "790"]),
    ("1,000 and 10'000 and 3.14", ["1000", "10000", "3.14", "3", "14"]),
    ("", []),
    ("…—!?", []),
    ("what is the of", []),
]
GERMAN = [
    ("Die Häuser des Kaufmanns", ["haus", "kaufmann"]),
    ("Straße und STRASSE", ["strass", "strass"]),
    ("§ 15a Abs. 2 Nr. 3", ["15a", "abs", "2", "nr", "3"]),
    ("Größen und Groessen", ["gross", "gross"]),
    ("12.05.2019", ["12.05.2019", "12", "05", "2019"]),
]
CHINESE = [
    ("凉茶", ["凉", "茶", "凉茶"]),
    ("凉茶店。又", ["凉", "茶", "店", "凉茶", "茶店", "又"]),
    ("盛大Nexon游戏", ["盛", "大", "盛大", "nexon", "游", "戏", "游戏"]),
    ("１９９８年", ["1998", "年"]),
]


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        (language, *case)
        for language, cases in {"en": ENGLISH, "de": GERMAN, "zh": CHINESE}.items()
        for case in cases
    ],
)
def test_terms(language, text, terms):
    assert Analyzer().list_terms(text, language) == terms


def test_words_of_another_script_are_read_by_their_own_rules():
    assert Analyzer().list_terms("Das 凉茶 der Häuser", "de") == ["凉", "茶", "凉茶", "haus"]


def test_a_language_without_rules_keeps_its_words():
    assert Analyzer().list_terms("Les Théâtres", "") == ["les", "theatres"]


@pytest.mark.parametrize(
    "forms",
    [
        "Anzeige anzeigen angezeigt anzuzeigen",
        "zahlen zahlt zahlte gezahlt",
        "Berechtigung berechtigen berechtigt",
        "Ablieferung abliefern abgeliefert abzuliefern",
        "hinzufügen hinzugefügt hinzuzufügen",
    ],
)
def test_the_forms_of_a_german_verb_are_one_term(forms):
    assert len({*Analyzer().list_terms(forms, "de")}) == 1
    assert len({*Analyzer(version=1).list_terms(forms, "de")}) > 1, "indexes of before are read as they were"


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("Planet", "Plan"),
        ("Kabinett", "Kabine"),
        ("Markt", "Mark"),
        ("angehören", "anhören"),
        ("Angelegenheit", "anlegen"),
        ("Geschäft", "Schaf"),
    ],
)
def test_what_only_looks_like_a_form_of_a_verb_stays(word, other):
    assert Analyzer().list_terms(word, "de") != Analyzer().list_terms(other, "de")


TEXTS = [
    "Die Bereitschaft zum Laden ist anzuzeigen, die Haftung bleibt.",
    "Bereitschaft, Haftung und Laden sind zu prüfen, ebenso der Schaden und der Ersatz.",
    "Der Ersatz des Schadens und der Anspruch darauf.",
    "Der Anspruch verjährt.",
]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("Ladebereitschaft", ["lad", "bereitschaf"]),
        ("Schadensersatz", ["schad", "ersatz"]),
        ("Schadensersatzanspruch", ["schad", "ersatz", "anspruch"]),
        ("Schadensersatzansprüche", ["schad", "ersatz", "anspruch"]),
        ("Haftungsausschluss", []),  # no word of its own here
        ("Bereitschaft", []),
    ],
)
def test_a_compound_is_found_by_the_words_of_its_collection(word, parts):
    analyzer = Analyzer(learn_lexicon(TEXTS))
    whole, *found = analyzer.list_terms(word, "de")
    assert [whole] == Analyzer().list_terms(word, "de") and found == parts


def test_what_occurs_once_takes_nothing_apart():
    assert "verjahrt" not in learn_lexicon(TEXTS).counts
    assert Analyzer(learn_lexicon(TEXTS[-1:])).list_terms("Anspruchsverjährt", "de") == ["anspruchsverjahr"]


def test_the_lexicon_counts_chunks_and_not_words():
    assert learn_lexicon(["Haftung Haftung Haftung"]).counts == {}
    assert learn_lexicon(["Haftung Haftung", "Haftungen"]).counts == {"haftung": 2}


@pytest.mark.parametrize(
    ("text", "among", "language"),
    [
        ("What is the name of the garden?", ("en", "de", "zh"), "en"),
        ("Wie heißt der Garten?", ("en", "de", "zh"), "de"),
        ("花园叫什么名字？", ("en", "de", "zh"), "zh"),
        ("Nexon 公司的总部在哪里？", ("en", "de", "zh"), "zh"),
        ("Ladebereitschaft", ("en", "de", "zh"), ""),
        ("Ladebereitschaft", ("de",), "de"),
        ("花园", ("en", "de"), ""),
        ("", ("en", "de"), ""),
    ],
)
def test_the_language_of_a_text(text, among, language):
    assert detect_language(text, among) == language


def test_a_question_that_does_not_tell_its_language_is_read_in_all():
    analyzer = Analyzer()
    assert analyzer.list_question_terms("running", ["en", "de"]) == ["run", "running"]
    assert analyzer.list_question_terms("Where are you running?", ["en", "de"]) == ["run"]
    assert analyzer.list_question_terms("who who Anna Anna", ["en"]) == ["anna"]


@pytest.mark.parametrize(
    ("question", "same"),
    [
        ("凉茶舖是什么？", "凉茶舖"),
        ("請問誰建了這座劇院嗎？", "建了這座劇院"),
        ("夏季剧院运营多久？", "夏季剧院运营"),
        ("哪吒在多伦多大学学几何，吗啡呢？", "哪吒在多伦多大学学几何，吗啡"),
    ],
)
def test_words_of_which_questions_are_made_are_not_looked_for(question, same):
    """Texts seldom say them: they would weigh most. What is indexed keeps them."""
    analyzer = Analyzer()
    assert analyzer.list_question_terms(question, ["zh", "en"]) == list(
        dict.fromkeys(analyzer.list_terms(same, "zh"))
    )
    assert analyzer.list_question_terms("什么？", ["zh"]) == ["什", "么", "什么"]
    assert analyzer.list_question_terms("What does 什么 mean?", ["zh", "en"])[:3] == ["什", "么", "什么"]
    assert "谁" in analyzer.list_terms("谁", "zh")


def test_any_text_is_read_and_a_document_matches_itself():
    """Whatever characters come: terms are bounded and hold no space, and a question of the text has them."""
    chance = random.Random(8)
    analyzer, lexicon = Analyzer(), Lexicon({"haus": 9, "tur": 4})
    for _round in range(300):
        text = "".join(
            chr(chance.choice((chance.randrange(0x20, 0x250), chance.randrange(0x20, 0x2FFFF))))
            for _ in range(80)
        )
        text = "".join(letter for letter in text if not 0xD800 <= ord(letter) < 0xE000)
        for reader in (analyzer, Analyzer(lexicon)):
            terms = reader.list_terms(text, "de")
            assert all(0 < len(term) <= 64 and not term.isspace() for term in terms)
            assert set(reader.list_question_terms(text, ["de"])) == set(terms)


def test_long_runs_end():
    """Neither a word of a megabyte nor one that is all parts holds anybody up."""
    analyzer = Analyzer(Lexicon({"aaaa": 9, "aaaaa": 9}))
    assert len(analyzer.list_terms("a" * 1_000_000, "de")) == 1
    assert analyzer.list_terms("a" * 60, "de")[0] == "a" * 60
    assert len(analyzer.list_terms("aa-" * 200_000, "de")) == 200_000


def test_the_version_says_how_terms_are_made():
    """Whoever changes what the cases above say counts the version up: indexes of before stay as they are."""
    assert VERSION == 2
