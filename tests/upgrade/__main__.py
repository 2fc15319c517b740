"""Data of earlier releases, upgraded by this one: `python -m tests.upgrade`, a part of `make check`.

Each dump of this folder is loaded into a new database, brought up to date as `make run` does it, and looked
at: every row, passwords, sealed secrets, bills, pages, lists of the API. `python -m tests.upgrade make NAME`
adds a dump: a filled installation of the release that runs it. One is made at the start of each larger piece
of work.
"""

import argparse
import os
import sys
from io import StringIO
from pathlib import Path

# of the dumps: what they hold is sealed with it
MASTER_KEY = "dXBncmFkZS1kdW1wcy1hcmUtc2VhbGVkLXdpdGgtMzI="


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("check", "make"), default="check")
    parser.add_argument("name", nargs="?", help="of the dump, such as “2026-11-walls”")
    options = parser.parse_args()
    os.environ["ATRIUM_MASTER_KEYS"] = MASTER_KEY
    if options.action == "make":
        return _make(options.name or parser.error("make needs a name"))
    from tests.upgrade.dumps import list_dumps

    return max(_check_in_child(path) for path in list_dumps())


def _make(name: str) -> int:
    _set_up()
    from django.core.management import call_command

    from tests.upgrade.dumps import write_dump
    from tests.upgrade.filled import fill

    call_command("prepare")
    path = write_dump(name, fill())
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


def _check_in_child(path: Path) -> int:
    """Each with services of its own."""
    child = os.fork()
    if child == 0:
        sys.exit(_check(path))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _check(path: Path) -> int:
    _set_up()
    from django.core.management import call_command

    from tests.upgrade.dumps import load_dump
    from tests.upgrade.filled import check, check_figures, count_rows, read_old_figures

    failures: list[str] = []
    facts = load_dump(path)
    before, figures = count_rows(), read_old_figures(facts)
    call_command("prepare", stdout=StringIO())
    check(facts, before, failures.append)
    check_figures(figures, failures.append)
    print("\n".join(failures) or f"{path.name}: {sum(before.values()):,} rows came along")
    return 1 if failures else 0


def _set_up() -> None:
    import tests.services  # noqa: F401  starts them

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
