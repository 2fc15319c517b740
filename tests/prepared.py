"""A data folder with both schemas migrated and the cast moved in, made once and copied by whoever needs one:
making it anew takes eight seconds of CPU, and `make test` needs four.

It is kept below the temporary folder, by what it was made from and the hour. `python -m tests.prepared` makes
it; whoever comes meanwhile waits.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("postgres", "database.json", "secrets.json")
NOT_ASKED = {"tests", "bench", "docs", "locale", "static"}  # nothing there makes rows
KEPT_S = 3 * 3600
NOT_OURS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "DASHSCOPE_API_KEY",
    "SILICONFLOW_API_KEY",
    "MISTRAL_API_KEY",
    "COHERE_API_KEY",
    "XAI_API_KEY",
    "DEEPSEEK_API_KEY",
    "MOONSHOT_API_KEY",
    "GROQ_API_KEY",
    "ATRIUM_RUNTIME_URL",
)  # what a person may have set


def find_place() -> Path:
    """Where the folder of today's code stands, or will."""
    told = hashlib.sha256(f"{sys.version} {time.time() // 3600}".encode())
    rooms = sorted(path for path in ROOT.iterdir() if path.is_dir() and path.name not in NOT_ASKED)
    sources = [path for room in rooms if room.name[0] != "." for path in sorted(room.rglob("*.py"))]
    for path in (*sources, ROOT / "requirements/lock.txt", Path(__file__), ROOT / "tests/cast.py"):
        told.update(f"{path.relative_to(ROOT)} ".encode() + path.read_bytes())
    return Path(tempfile.gettempdir()) / f"atrium-prepared-{os.geteuid()}" / told.hexdigest()[:32]


def copy_to(folder: Path) -> bool:
    """Whether there was one to be copied."""
    if not (place := find_place()).exists() or place.parent.stat().st_uid != os.geteuid():
        return False
    subprocess.run(["cp", "-a", *(place / part for part in PARTS), folder], check=True)
    return True


def make() -> None:
    place = find_place()
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            for old in place.parent.iterdir():
                if old.is_dir() and old.stat().st_mtime < time.time() - KEPT_S:
                    shutil.rmtree(old, ignore_errors=True)
            _make_at(place)


def _make_at(place: Path) -> None:
    draft = place.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="atrium-test-") as name:
        folder = Path(name)
        with running(folder):
            import django

            django.setup()
            from tests.cast import move_in

            move_in()
        draft.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", *(folder / part for part in PARTS), draft], check=True)
    draft.rename(place)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Both servers on a folder, and the environment in which Django finds them."""
    from launcher.embedded import embedded_services

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.update(ATRIUM_ENV="test", ATRIUM_DATA=str(folder), ATRIUM_PORT="8000")
    for name in NOT_OURS:
        os.environ.pop(name, None)
    with embedded_services(folder, test=True) as services:
        os.environ.update(
            DATABASE_URL=services.database_url,
            ATRIUM_OWNER_DATABASE_URL=services.owner_database_url,
            REDIS_URL=services.redis_url,
        )
        yield


if __name__ == "__main__":
    make()
