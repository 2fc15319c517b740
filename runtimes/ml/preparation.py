"""Has the first models made by child processes, one after the other, while the server answers.

Covers: a file that was not fetched is left out; a conversion that fails is told, and tried again at the next
start; a server that ends takes its child along.
Does not cover: what a killed child leaves behind (runtimes.ml.conversion does).
"""

import asyncio
import contextlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .conversion.recipes import Recipe, list_recipes

logger = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]


@dataclass
class Making:
    recipe: Recipe
    state: str = "waiting"  # then preparing, and failed where it failed
    reason: str = ""


class Preparation:
    """Nothing to do without both folders. Runs on the event loop."""

    def __init__(self, sources: Path | None, models: Path | None, recipes: Path):
        self._sources = sources
        self._models = models
        self._makings: list[Making] = []
        if sources is not None and models is not None:
            self._makings = [
                Making(recipe)
                for recipe in list_recipes(recipes)
                if not recipe.is_made_in(models) and recipe.source_in(sources).is_file()
            ]
        self._child: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._make_all())

    def report(self, tenant: str | None) -> list[dict]:
        """For /health: id, label and state of each model that is not there yet."""
        return [
            {
                "id": making.recipe.id,
                "display_name": making.recipe.manifest.label,
                "kind": making.recipe.manifest.kind,
                "state": making.state,
                **({"reason": making.reason} if making.reason else {}),
            }
            for making in self._makings
            if making.recipe.manifest.is_visible_to(tenant)
        ]

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()

    async def _make_all(self) -> None:
        for making in list(self._makings):
            making.state = "preparing"
            logger.info("making %s", making.recipe.id)
            reason = await self._make(making.recipe)
            if reason:
                making.state, making.reason = "failed", reason
                logger.error("%s could not be made: %s", making.recipe.id, reason)
            else:
                self._makings.remove(making)
                logger.info("%s is there", making.recipe.id)

    async def _make(self, recipe: Recipe) -> str:
        """Why it could not be made; empty where it is there now."""
        command = ("-m", "runtimes.ml.conversion", str(recipe.folder))
        folders = ("--sources", str(self._sources), "--models", str(self._models))
        try:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *folders,
                cwd=ROOT,
                env={**os.environ, "TQDM_DISABLE": "1"},
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as exc:
            return f"the conversion cannot be started: {exc.strerror}"
        said, _ = await self._child.communicate()
        code = self._child.returncode
        self._child = None
        if code == 0:
            return ""
        return said.decode(errors="replace").strip() or f"the conversion ended with code {code}"
