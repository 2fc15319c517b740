"""The living house's pages as production serves them: collected, in one style file, compressed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from django.conf import settings

from tests.live import ROOT, House, house_with_bug

# the tests' database does not write what it commits, which production would refuse
WITHOUT_DURABILITY = "import usage.ledger.durability as one; one._NEEDED = ()"
# what the pages around a chat have nothing of, and takes a third of the collecting
UNSEEN = [f"--ignore={folder}" for folder in ("drf_spectacular_sidecar", "rest_framework")]


def environment() -> dict[str, str]:
    return {
        "ATRIUM_ENV": "production",
        "ATRIUM_TLS": "0",
        "ATRIUM_SECRET_KEY": settings.SECRET_KEY,  # so that the sessions of the house count
        "ATRIUM_MASTER_KEYS": ",".join(settings.MASTER_KEYS),
    }


def collect() -> None:
    """Run collectstatic as production does."""
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0", *UNSEEN]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment(), check=True)


@contextlib.contextmanager
def house_of_production(house: House) -> Iterator[House]:
    collect()
    with house_with_bug(house, WITHOUT_DURABILITY, **environment()) as production:
        yield production
