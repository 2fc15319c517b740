"""Translations: `python -m config.messages update | compile | missing`.

`update` reads the source with GNU gettext (Debian: apt install gettext) and marks what is new;
`compile` needs no program beside Python. locale/libraries/ says in our words what libraries say in theirs,
or leave in English: it is kept by hand, and no source of ours is read for it.
"""

import subprocess
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ["de", "zh_Hans"]
LANGUAGES_OF_LIBRARIES = [*LANGUAGES, "en"]


def catalogue(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def library_catalogue(language: str) -> Path:
    return ROOT / "locale" / "libraries" / language / "LC_MESSAGES" / "django.po"


def compile_all() -> None:
    """Write the .mo files that Django reads."""
    for path in [*map(catalogue, LANGUAGES), *map(library_catalogue, LANGUAGES_OF_LIBRARIES)]:
        if path.exists():
            polib.pofile(str(path)).save_as_mofile(str(path.with_suffix(".mo")))


def find_gaps(language: str) -> list[str]:
    """Entries that are empty or fuzzy."""
    entries = polib.pofile(str(catalogue(language)))
    return [
        entry.msgid for entry in entries if not entry.obsolete and (entry.fuzzy or not entry.translated())
    ]


def update_all() -> None:
    """Collect the texts of the source into the catalogues; no line numbers, so that they change only when
    texts do.
    """
    command = [
        sys.executable,
        "manage.py",
        "makemessages",
        "--no-location",
        "--no-wrap",
        "--no-obsolete",
        "--ignore=.venv",
        "--ignore=tests",
        "--ignore=bench",
    ]
    subprocess.run(command + [f"--locale={language}" for language in LANGUAGES], cwd=ROOT, check=True)


def main(action: str) -> int:
    if action == "compile":
        compile_all()
    elif action == "update":
        update_all()
        compile_all()
    gaps = (
        {language: find_gaps(language) for language in LANGUAGES if catalogue(language).exists()}
        if action != "compile"
        else {}
    )
    for language, texts in gaps.items():
        for text in texts:
            sys.stdout.write(f"{language}: {text!r}\n")
    return 1 if action == "missing" and any(gaps.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "missing"))
