"""What `manage.py check --deploy` says of reading documents."""

from django.core.checks import Info, Warning, register

from rag.parsing.ocr import LANGUAGES, find_recogniser


@register("documents", deploy=True)
def scanned_pages_are_recognised(app_configs, **kwargs):
    """Tried with a jailed process; so only with `check --deploy`."""
    recogniser = find_recogniser()
    known = recogniser.languages if recogniser else ()
    if recogniser and known == LANGUAGES:
        return [Info(f"Scanned pages are read by {recogniser.path}.", id="atrium.I006")]
    missing = ", ".join(name for name in LANGUAGES if name not in known)
    what = "are read in part" if recogniser else "are not read"
    hint = (
        "Install tesseract (Debian: tesseract-ocr tesseract-ocr-deu tesseract-ocr-chi-sim), or let a "
        "vision model read them (settings of each collection)."
    )
    return [Warning(f"Scanned pages {what}: no {missing}.", hint=hint, id="atrium.W006")]
