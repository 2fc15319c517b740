"""Dumps of a whole database, of everything but the server's own roles: text of `pg_dumpall` and `pg_dump`,
compressed, with a first line of facts about what it holds, as JSON.

Everything runs as the superuser of the embedded server that `tests.services` started.
"""

import gzip
import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

FOLDER = Path(__file__).parent
MAX_BYTES = 200_000
# of the server, not of the data: every data folder has them already
OWN_ROLES = re.compile(r"(?:CREATE|ALTER) ROLE (?:postgres|atrium_app|atrium_owner)\b")


def list_dumps() -> list[Path]:
    return sorted(FOLDER.glob("*.sql.gz"))


def write_dump(name: str, facts: dict[str, str]) -> Path:
    """Everything that the server holds now. Raises ValueError where it is too large to be kept."""
    roles = _run("pg_dumpall", "--roles-only", "--no-role-passwords")
    kept = "\n".join(line for line in roles.splitlines() if not OWN_ROLES.match(line))
    rows = _run("pg_dump", "--exclude-extension=*", "--no-comments", "atrium")
    text = f"-- {json.dumps(facts)}\n{kept}\n{rows}"
    packed = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    if len(packed) > MAX_BYTES:
        raise ValueError(f"The dump has {len(packed):,} bytes; at most {MAX_BYTES:,} are kept.")
    path = FOLDER / f"{name}.sql.gz"
    path.write_bytes(packed)
    return path


def load_dump(path: Path) -> dict[str, str]:
    """Fill the empty database with it; gives its facts."""
    text = gzip.decompress(path.read_bytes()).decode()
    _run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "atrium", stdin=text)
    return json.loads(text.partition("\n")[0].removeprefix("-- "))


def _run(program: str, *arguments: str, stdin: str = "") -> str:
    from launcher.postgres import SUPERUSER, programs

    socket = parse_qs(urlsplit(os.environ["DATABASE_URL"]).query)["host"][0]
    passwords = json.loads((Path(os.environ["ATRIUM_DATA"]) / "database.json").read_text())
    answer = subprocess.run(
        [programs() / program, "-h", socket, "-p", "5432", "-U", SUPERUSER, *arguments],
        input=stdin,
        env=os.environ | {"PGPASSWORD": passwords[SUPERUSER]},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if answer.returncode:
        raise RuntimeError(f"{program}: {answer.stderr[-2_000:]}")
    return answer.stdout
