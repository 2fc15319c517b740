"""A data directory after its first start: `initdb` is most of what a start costs."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import embedded


@pytest.fixture(scope="package")
def made_before() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="atrium-test-") as name:
        with embedded.embedded_services(name, test=True):
            pass
        yield Path(name)


@pytest.fixture
def warm_folder(made_before) -> Iterator[Path]:
    """A copy of it. Not below pytest's own folder: every pytest that starts as root closes their common
    parent, and the servers do not run as root.
    """
    with tempfile.TemporaryDirectory(prefix="atrium-test-") as name:
        subprocess.run(
            ["cp", "-Rp", str(made_before / "postgres"), str(made_before / "database.json"), name], check=True
        )
        yield Path(name)
