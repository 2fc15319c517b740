"""The living house's pages as production serves them: collected, in one style file, compressed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests.live import ROOT, House, house_with_bug

# the tests' database does not write what it commits, which production would refuse
WITHOUT_DURABILITY = "import usage.ledger.durability as one; one._NEEDED = ()"


def environment(data: Path) -> dict[str, str]:
    return {
        "ATRIUM_ENV": "production",
        "ATRIUM_TLS": "0",
        "ATRIUM_DATA": str(data),
        "ATRIUM_SECRET_KEY": settings.SECRET_KEY,  # so that the sessions of the house count
        "ATRIUM_MASTER_KEYS": ",".join(settings.MASTER_KEYS),
    }


def collect(data: Path) -> Path:
    """Run collectstatic as production does; returns the folder."""
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment(data), check=True)
    return data / "static"


@contextlib.contextmanager
def house_of_production(house: House, data: Path) -> Iterator[House]:
    collect(data)
    with house_with_bug(house, WITHOUT_DURABILITY, **environment(data)) as production:
        yield production
