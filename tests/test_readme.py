"""The README says what is true: its table of settings is that of config/settings/env.py."""

import sys
from pathlib import Path

from config.settings.env import VARIABLES

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "config/settings/env.py) -->\n", "<!-- environment table: end -->"


def table() -> str:
    rows = [
        f"| `{variable.name}` | {variable.meaning} | {variable.default or '–'} |" for variable in VARIABLES
    ]
    return "\n".join(["| variable | meaning | default |", "|---|---|---|", *rows]) + "\n"


def test_the_table_of_settings_is_complete():
    text = README.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table(), (
        "run: python -m tests.test_readme"
    )


if __name__ == "__main__":
    text = README.read_text()
    README.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table() + text[text.index(END) :])
    sys.stdout.write("README.md: table of settings written\n")
