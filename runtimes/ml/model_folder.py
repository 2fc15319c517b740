"""Model folders on disk: found, checked, described, without importing torch.

A model is a sub-folder with a `config.json`, and a `manifest.json` that says what it is and who may see it.
It is refused, with the reason, if loading it could run foreign code or if it is not what it claims:

- weights that are not safetensors, and every other pickle (`training_args.bin`, `optimizer.pt`): unpickling
  runs code;
- Python files, or an `auto_map` in a configuration file: remote code;
- no manifest, or one that is not whole;
- files that do not match the folder's own `SHA256SUMS`, where it has one.

Not covered: flaws in the safetensors or tokenizers readers themselves, and a folder that is replaced after it
was loaded.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .manifest import BadManifest, Manifest, read_manifest

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".npz", ".joblib")


class RefusedModel(Exception):
    """The folder may not be loaded; the text says why."""


@dataclass(frozen=True)
class ModelFolder:
    """One model on disk; its id is the folder's name."""

    path: Path
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.path.name)

    @cached_property
    def manifest(self) -> Manifest:
        """Raises RefusedModel."""
        try:
            return read_manifest(self.path)
        except BadManifest as exc:
            raise RefusedModel(str(exc)) from exc

    def is_visible_to(self, tenant: str | None) -> bool:
        """Nobody sees a folder that does not say who may."""
        try:
            return self.manifest.is_visible_to(tenant)
        except RefusedModel:
            return False

    def describe(self) -> dict:
        """The entry of GET /v1/models. `default_max_output_tokens` is what to ask for if the user names no
        limit.
        """
        manifest = self.manifest
        common = {
            "id": self.id,
            "object": "model",
            "created": int((self.path / "config.json").stat().st_mtime),
            "owned_by": "atrium",
            "kind": manifest.kind,
            "display_name": manifest.label,
            "licence": manifest.licence,
            "context_window": manifest.context_window,
            "demo": manifest.is_demo,
            "channel": manifest.channel,
            "languages": list(manifest.languages),
        }
        if manifest.kind == "embedding":
            return common | {"dimensions": manifest.dimensions, "prefixes": manifest.prefixes}
        return common | {
            "max_output_tokens": manifest.context_window,
            "default_max_output_tokens": manifest.default_max_output_tokens,
        }

    def check(self) -> None:
        """Raises RefusedModel if the folder may not be loaded. Cheap: reads names and small JSON files, no
        weights.
        """
        _ = self.manifest
        files = [path for path in self.path.rglob("*") if path.is_file()]
        for path in files:
            if path.suffix.lower() in PICKLE_SUFFIXES:
                raise RefusedModel(
                    f"{path.name} may hold pickled objects, which run code when they are loaded. Only "
                    "safetensors are accepted."
                )
            if path.suffix.lower() == ".py":
                raise RefusedModel(f"{path.name} is program code, which a model folder must not bring along.")
        if not any(path.suffix == ".safetensors" for path in files):
            raise RefusedModel("There are no safetensors weights.")
        for name in ("config.json", "tokenizer_config.json"):
            if (self.path / name).exists() and "auto_map" in _read_json(self.path / name):
                raise RefusedModel(f"{name} has an auto_map: it wants to run remote code.")

    def verify(self) -> None:
        """Compare the files with SHA256SUMS, if the folder has one. Reads all weights. Raises
        RefusedModel on the first difference.
        """
        sums = self.path / "SHA256SUMS"
        if not sums.exists():
            return
        for line in sums.read_text().splitlines():
            expected, _, name = line.partition("  ")
            path = self.path / name
            if not path.is_file() or sha256_of(path) != expected:
                raise RefusedModel(f"{name} does not match SHA256SUMS.")


def list_model_folders(directories: list[Path]) -> dict[str, ModelFolder]:
    """All model folders by id; of two with the same name the earlier directory's wins. A directory
    that does not exist counts as empty; a folder whose name begins with a dot is still being made.
    """
    folders: dict[str, ModelFolder] = {}
    for directory in directories:
        if not directory.is_dir():
            continue
        for path in sorted(directory.iterdir()):
            is_whole = (path / "config.json").is_file() and not path.name.startswith(".")
            if is_whole and path.name not in folders:
                folders[path.name] = ModelFolder(path)
    return folders


def write_sha256sums(folder: Path) -> None:
    """SHA256SUMS over every other file of the folder, in the format of `sha256sum`."""
    lines = [
        f"{sha256_of(path)}  {path.name}"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RefusedModel(f"{path.name} cannot be read: {exc}") from exc
    if not isinstance(value, dict):
        raise RefusedModel(f"{path.name} is not a JSON object.")
    return value
