"""The recipes of the first models, and what has been made of them. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

from runtimes.ml.manifest import BadManifest, Manifest, read_manifest

RECIPES = Path(__file__).parents[2] / "recipes"


@dataclass(frozen=True)
class Recipe:
    """How one model folder is made; its id is that of the model."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.folder.name

    def source_in(self, sources: Path) -> Path:
        return sources / self.manifest.origin["file"]

    def is_made_in(self, models: Path) -> bool:
        """Whether the folder is there, made of the file that the recipe names today."""
        try:
            return read_manifest(models / self.id).origin == self.manifest.origin
        except BadManifest:
            return False


def list_recipes(folder: Path = RECIPES) -> list[Recipe]:
    """By name. Raises BadManifest: recipes are ours."""
    return [Recipe(path, read_manifest(path)) for path in sorted(folder.iterdir()) if path.is_dir()]
