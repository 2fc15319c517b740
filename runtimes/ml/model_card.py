"""Writes the demo model's card (README.md, English, German, Chinese) and its SHA256SUMS.

python -m runtimes.ml.model_card runtimes/models/atrium-tiny       measures the folder anew and rewrites both
"""

import argparse
import json
from pathlib import Path

from .corpus import LANGUAGES
from .measure import measure
from .model_folder import write_sha256sums

TEMPLATE = Path(__file__).with_name("model_card.template.md")
LANGUAGE_FIGURES = {
    "reply": "reply to a support ticket",
    "triage": "topic or urgency in words",
    "small_talk_unseen": "small talk, unseen wording",
    "fallback_unseen": "admits it cannot answer, unseen topics",
    "fallback_free": "admits it cannot answer, free questions",
}


def write_model_card(folder: Path, figures: dict) -> None:
    """README.md from the figures of `measure` and of the training, which are kept beside it in
    `figures.json`.
    """
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    rows = [
        f"| {label} | " + " | ".join(f"{figures[f'{name}_{language}']:.0%}" for language in LANGUAGES) + " |"
        for name, label in LANGUAGE_FIGURES.items()
    ]
    sizes = {name: f"{figures[name]:,}" for name in ("parameters", "tokens_seen", "steps", "cpu_s")}
    german = {f"{name}_german": text.translate(str.maketrans(",.", ".,")) for name, text in sizes.items()}
    card = TEMPLATE.read_text(encoding="utf-8").format(
        **{**figures, **sizes}, **german, language_rows="\n".join(rows)
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure a demo model folder and rewrite its card and SHA256SUMS."
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    write_model_card(folder, json.loads((folder / "figures.json").read_text()) | measure(folder))
    write_sha256sums(folder)


if __name__ == "__main__":
    main()
