"""One conversion: `python -m runtimes.ml.conversion RECIPE_FOLDER --sources DIR --models DIR`.

Ends with 0 when the model is there, also when another process has made it meanwhile; otherwise with 1 and one
line on stdout that says why not.
"""

import argparse
import fcntl
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtimes.ml.manifest import NAME as MANIFEST
from runtimes.ml.manifest import read_manifest
from runtimes.ml.model_folder import sha256_of, write_sha256sums

from .errors import Unconvertible
from .recipes import Recipe

NICENESS = 10  # the start, and every answer, go first
# format → the module with `convert(source: Path, folder: Path)`
FORMATS = {"gguf": "runtimes.ml.conversion.gguf_file", "e5s1": "runtimes.ml.conversion.e5s1"}
DRAFT_PREFIX = ".making-"


def convert(recipe: Recipe, sources: Path, models: Path) -> None:
    """Make the recipe's folder below `models`. Raises Unconvertible, OSError."""
    models.mkdir(parents=True, exist_ok=True)
    with _alone(models):
        if recipe.is_made_in(models):
            return
        for stale in models.glob(f"{DRAFT_PREFIX}*"):  # of one that was killed
            shutil.rmtree(stale)
        source = recipe.source_in(sources)
        if sha256_of(source) != recipe.manifest.origin["sha256"]:
            raise Unconvertible(f"{source.name} has another sha256 than the recipe says.")
        draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=models))
        importlib.import_module(FORMATS[recipe.manifest.origin["format"]]).convert(source, draft)
        for path in recipe.folder.iterdir():  # manifest and card
            shutil.copyfile(path, draft / path.name)
        write_sha256sums(draft)
        draft.chmod(0o755)
        _put_in_place(draft, models / recipe.id)


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """The lock ends with the process, however that ends."""
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put_in_place(draft: Path, target: Path) -> None:
    """Written through to the disk first: a power cut must not leave a folder with empty files."""
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if target.exists():  # made of an earlier file
        old = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=target.parent))
        target.rename(old / "old")
        draft.rename(target)
        shutil.rmtree(old)
    else:
        draft.rename(target)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m runtimes.ml.conversion", description="Make one model folder."
    )
    parser.add_argument("recipe", type=Path, help=f"a folder with {MANIFEST} and a card")
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    arguments = parser.parse_args()
    os.nice(NICENESS)
    try:
        convert(
            Recipe(arguments.recipe, read_manifest(arguments.recipe)), arguments.sources, arguments.models
        )
    except (Unconvertible, OSError, MemoryError) as exc:
        sys.stdout.write(f"{exc or type(exc).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
