"""The phrase tables beside this file (TOML): data that translators read, apart from the code that combines
it.
"""

import tomllib
from pathlib import Path


def load_table(name: str) -> dict:
    """The table `<name>.toml` of this folder."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))
