"""What `manage.py check --deploy` says of reading documents."""

from django.core.checks import Info, Warning, register

from rag.parsing.ocr import LANGUAGES, find_recogniser


@register("documents", deploy=True)
def scanned_pages_are_recognised(app_configs, **kwargs):
    """Tried with a jailed process; so only with `check --deploy`."""
    recogniser = find_recogniser()
    missing = [name for name in LANGUAGES if recogniser is None or name not in recogniser.languages]
    if missing:
        what = "Scanned pages are not read" if recogniser is None else "Scanned pages are read in part"
        hint = "Install tesseract (Debian: tesseract-ocr tesseract-ocr-deu tesseract-ocr-chi-sim)."
        return [Warning(f"{what}: no {', '.join(missing)}.", hint=hint, id="atrium.W006")]
    return [Info(f"Scanned pages are read by {recogniser.path}.", id="atrium.I006")]
