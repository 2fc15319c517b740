"""German verbs in one form: texts say “angezeigt” and “anzuzeigen”, questions “Anzeige”; texts “berechtigt”,
questions “Berechtigung”. Snowball leaves the endings of the third person and of participles, and “ge” and
“zu” before and inside of them.

Reads stems, not words, and knows no dictionary. Does not cover: vowels that change (“nimmt”, “Übernahme”).
"""

import re
from collections.abc import Callable

# what is written apart from its verb in “zeigt … an”, and so takes “ge” and “zu” behind it
_PREFIXES = """
ab an auf aus bei dar durch ein entgegen fest fort frei gegenuber her heran heraus herbei herunter hervor
hin(?!zu) hinaus hinein hinzu los mit nach nieder uber uberein um unter voraus vorbei vor weg weiter wieder
zuruck zusammen zu
"""
# No verb forms, though they look so: what they would become is another word
_NOUNS = """
angelegen angeleg angenehm gedicht gefecht gehalt gericht geschaft geschicht geschlecht gesicht gestalt
gewicht gewalt markt punkt staat stadt start
"""
NOUNS = frozenset(_NOUNS.split())
_inside = re.compile(
    rf"({'|'.join(sorted(_PREFIXES.split(), key=len, reverse=True))})(?:ge|zu)((?!hor).*[aeiouy].*)"
)
_before = re.compile(r"ge(.*[aeiouy].*t)")
_ending = re.compile(r"(.*?[aeiouy].*?[^aeiot])t")
LEAST_INSIDE, LEAST_BEFORE, LEAST_LEFT = 3, 5, 4  # letters of what is left
LONGEST = 60  # letters: what is longer is no word, and would take long


def join_forms(stem: str, stem_of: Callable[[str], str]) -> str:
    """The stem that all forms of a verb share; any other stem as it is. `stem` has no umlauts any more;
    `stem_of` gives Snowball's stem of a word.
    """
    if stem in NOUNS or len(stem) > LONGEST or not stem.isalpha():
        return stem
    if (found := _inside.fullmatch(stem)) and len(found[2]) >= LEAST_INSIDE:
        stem = found[1] + found[2]
    elif (found := _before.fullmatch(stem)) and len(found[1]) >= LEAST_BEFORE:
        stem = found[1]
    if stem.endswith("er"):  # of “Lieferung”: “liefern” has lost it
        return stem_of(stem)
    while (found := _ending.fullmatch(stem)) and len(found[1]) >= LEAST_LEFT:
        stem = stem_of(found[1] + "en")
    return stem
