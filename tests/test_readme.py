"""The README says what is true: its table of settings is that of config/settings/env.py."""

import re
import subprocess
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


ROOT = README.parent
FOREIGN = re.compile(r"\b(DESIGN|RELIABILITY|STYLE)\b(?! =)|\bnotes/\w+\.md|\bUI\.md")
DOCUMENT = re.compile(r"\bdocs/[\w/.-]+\.md\b")


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.html", "*.toml", "*.sh", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        ROOT / name
        for name in listed.stdout.splitlines()
        if "vendor/" not in name and name != "tests/test_readme.py"
    ]


def test_every_document_that_is_referred_to_is_here():
    missing, foreign = [], []
    for path in sources():
        text = path.read_text()
        missing += [f"{path.name}: {name}" for name in DOCUMENT.findall(text) if not (ROOT / name).exists()]
        foreign += [f"{path.name}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert missing == [] and foreign == []


def test_the_table_of_proofs_names_each_module_and_no_other():
    text = (ROOT / "docs" / "proofs.md").read_text()
    modules = {path.stem for path in (ROOT / "tests" / "proof").glob("test_*.py")}
    assert set(re.findall(r"\btest_s\d\d_\w+", text)) == modules
    paths = set(re.findall(r"`((?:tests|bench)/[\w/.]+)`", text))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


if __name__ == "__main__":
    text = README.read_text()
    README.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table() + text[text.index(END) :])
    sys.stdout.write("README.md: table of settings written\n")


def test_no_line_of_a_template_is_longer_than_a_screen():
    """Like Python's 110 columns: a review shows what changed. A sentence to translate may be longer."""
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        if path.suffix == ".html"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > 160
    ]
    assert long == []
