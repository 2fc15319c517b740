"""Every package that the product needs at run time carries an OSI-approved licence; exceptions are listed
here with their reason.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

NAMES = (
    "MIT|BSD|Apache|ISC|MPL|Mozilla Public|LGPL|Lesser General Public|PSF|Python Software "
    "Foundation|PostgreSQL|0BSD|Zlib|Unlicense|CC0|CNRI"
)
OSI = re.compile(rf"\b({NAMES})\b", re.IGNORECASE)
EXCEPTIONS: dict[str, str] = {  # name → reason
    "axe-playwright-python": "for tests: MIT by its LICENSE file, and brings axe-core, MPL-2.0",
}
ROOT = Path(__file__).parent
LOCKS = ("lock.txt", "lock-ml.txt", "clients/lock.txt")


def locked_names(lock: Path) -> list[str]:
    """Package names in a lock that apply to this Python and machine."""
    from packaging.requirements import Requirement

    found = []
    for line in re.findall(r"^[a-zA-Z0-9][^\s].*==[^\\]+", lock.read_text(), re.MULTILINE):
        requirement = Requirement(line.strip().rstrip("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate():
            found.append(requirement.name)
    return found


def licence_of(name: str) -> str:
    """What the package says of its licence: SPDX expression, free text (first line), classifiers."""
    about = metadata.metadata(name)
    texts = [
        about.get("License-Expression", ""),
        (about.get("License") or "").split("\n")[0],
        *(about.get_all("Classifier") or []),
    ]
    return " | ".join(text for text in texts if text and ("License" in text or "::" not in text))


def main() -> int:
    bad = []
    names = {name for lock in LOCKS for name in locked_names(ROOT / lock)}
    for name in sorted(names):
        try:
            licence = licence_of(name)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        if name not in EXCEPTIONS and not OSI.search(licence):
            bad.append(f"{name}: {licence or 'says nothing'}")
    for line in bad:
        sys.stderr.write(f"no OSI licence known: {line}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
