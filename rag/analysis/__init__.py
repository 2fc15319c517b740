"""From text to index terms, one function for index and question, in German, English and Chinese. No Django.

An index stores the VERSION that made its terms and the words of its lexicon: documents that come later and
questions are read in the same way, until a new generation of the index is made.
"""

from foundation.language.detection import LANGUAGES, detect_language
from rag.analysis.analyzer import VERSION, Analyzer, learn_lexicon
from rag.analysis.compounds import Lexicon

__all__ = ["LANGUAGES", "VERSION", "Analyzer", "Lexicon", "detect_language", "learn_lexicon"]
