"""What style sheets must not say, since it makes the browser look at a whole long conversation whenever a
message comes (how long that takes: `python -m bench page`).
"""

import re
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
SHEETS = [path for path in CSS.rglob("*.css") if "admin" not in path.parts]


def selectors(path: Path) -> list[str]:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    found = re.findall(r"([^{};]+)\{", text)
    return [" ".join(one.split()) for one in found if not one.strip().startswith("@")]


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_no_rule_makes_the_browser_look_at_the_whole_page(path):
    for one in selectors(path):
        # what follows :has() names what it means: a rule on all that is not something is one on everything
        assert not re.search(r":has\([^)]*\)[^,]*[ >+~]:not\(", one), one


def test_no_rule_asks_which_message_is_the_last():
    """A class says it, which changes two messages and not all."""
    for path in SHEETS:
        places = [
            one for one in selectors(path) if re.search(r"\.message\S*:(?:nth-|first-|last-|only-)", one)
        ]
        assert places == [], path.name
