"""The models a server can answer with: found on disk, loaded on first use, a bounded number in memory at a
time.

torch and transformers are imported in a background thread, so that the server listens and tells its health at
once; whoever asks for a model meanwhile waits. Nothing here imports them itself.
"""

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from foundation.collector import importing

from .api_errors import ApiError, model_not_found, overloaded, wrong_kind
from .model_folder import ModelFolder, RefusedModel, list_model_folders

# Kind of model → the module whose class `Engine` serves it.
ENGINES = {"chat": "runtimes.ml.engine", "embedding": "runtimes.ml.embedder"}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What bounds the server's work and memory."""

    slots: int = 8  # answers generated at once, per model
    waiting: int = 64  # further requests that may wait, per model; the next one gets 503
    loaded_models: int = 4  # in memory at once; the one unused for longest makes room
    threads: int = 1  # CPU threads of torch


class Engine(Protocol):
    """One loaded model, whatever its kind. Made in a thread: `Engine(folder, slots=…)`."""

    slots: int

    @property
    def is_alive(self) -> bool: ...
    def count_active(self) -> int: ...
    def close(self) -> None: ...


@dataclass
class Seat:
    """A model's place on the shelf: its engine once loaded, and who is using or awaiting it."""

    engine: Engine | None = None
    loading: asyncio.Task[Engine] | None = None
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)
    error: str | None = None


class ModelShelf:
    """All methods run on the event loop; imports and loading run in daemon threads."""

    def __init__(self, directories: list[Path], limits: Limits):
        self.limits = limits
        self._directories = directories
        self._seats: dict[str, Seat] = {}
        self._import: asyncio.Future | None = None
        self._preloads: list[asyncio.Task] = []
        self._load_turn = asyncio.Lock()  # one at a time: two at once would both find room for one
        self.import_error: str | None = None
        self.is_imported = False

    def start(self, *, preload: bool) -> None:
        """Begin importing; with `preload` also load every model, as far as
        the limit allows. Returns at once.
        """
        self._import = _in_daemon_thread(_import_engines, self.limits.threads)
        self._import.add_done_callback(self._note_import)
        for folder in self.list_folders().values():
            if reason := _find_refusal(folder):
                logger.warning("%s is refused: %s", folder.path, reason)
        if preload:
            usable = [folder for folder in self.list_folders().values() if _find_refusal(folder) is None]
            self._preloads = [
                self._start_loading(folder.id) for folder in usable[: self.limits.loaded_models]
            ]

    def list_folders(self) -> dict[str, ModelFolder]:
        """The model folders on disk now: a folder added while the server runs is found."""
        return list_model_folders(self._directories)

    def list_usable(self, tenant: str | None) -> list[dict]:
        """The entries of GET /v1/models: every folder that passes its check and that the tenant may see."""
        return [
            folder.describe()
            for folder in self.list_folders().values()
            if _find_refusal(folder) is None and folder.is_visible_to(tenant)
        ]

    @property
    def is_ready(self) -> bool:
        """True once torch is there and every preload has ended. A load on first use does not undo it: its
        caller waits.
        """
        return self.is_imported and all(task.done() for task in self._preloads)

    def report(self, tenant: str | None) -> list[dict]:
        """State of each model that the tenant may see, for /health: idle, loading, ready, failed or
        refused.
        """
        return [
            self._report_one(folder)
            for folder in self.list_folders().values()
            if folder.is_visible_to(tenant)
        ]

    @asynccontextmanager
    async def lease(self, model_id: str, *, kind: str, tenant: str | None) -> AsyncGenerator[Any]:
        """The loaded engine, kept in memory while in use. Raises ApiError: unknown or not visible model, one
        of another kind, refused folder, or too many requests.
        """
        folder = self.list_folders().get(model_id)
        if folder is None or not folder.is_visible_to(tenant):
            raise model_not_found(model_id)
        if folder.manifest.kind != kind:
            raise wrong_kind(model_id, folder.manifest.kind)
        seat = self._seats.setdefault(model_id, Seat())
        if seat.users >= self.limits.slots + self.limits.waiting:
            raise overloaded(
                f"Too many requests for the model `{model_id}`: {self.limits.waiting} are waiting already."
            )
        seat.users += 1
        try:
            yield await self._get_engine(model_id, seat)
        finally:
            seat.users -= 1
            seat.used_at = time.monotonic()

    def close(self) -> None:
        """Stop every engine. Blocks for up to two seconds each."""
        for seat in self._seats.values():
            if seat.engine is not None:
                seat.engine.close()

    async def _get_engine(self, model_id: str, seat: Seat) -> Engine:
        if seat.engine is not None and seat.engine.is_alive:
            return seat.engine
        seat.engine = None
        loading = seat.loading or self._start_loading(model_id)
        # shielded: a client that leaves must not stop the loading for the others
        return await asyncio.shield(loading)

    def _start_loading(self, model_id: str) -> asyncio.Task[Engine]:
        seat = self._seats.setdefault(model_id, Seat())
        seat.loading = asyncio.create_task(self._load(model_id, seat))
        # also read when nobody waits for it
        seat.loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return seat.loading

    async def _load(self, model_id: str, seat: Seat) -> Engine:
        """Load one model into its seat. Raises ApiError in every case of failure."""
        started = time.monotonic()
        try:
            if self._import is None:
                raise RuntimeError("the shelf was not started")
            engines = await asyncio.shield(self._import)
            folder = self.list_folders().get(model_id)
            if folder is None:
                raise model_not_found(model_id)
            async with self._load_turn:
                await self._make_room()
                engine_class = engines[folder.manifest.kind]
                seat.engine = await _in_daemon_thread(lambda: engine_class(folder, slots=self.limits.slots))
            seat.error = None
        except RefusedModel as exc:
            raise ApiError(
                400, f"The model `{model_id}` is refused. {exc}", code="model_refused", param="model"
            ) from exc
        except ApiError:
            raise
        except Exception as exc:  # transformers raises all kinds for broken folders
            logger.exception("loading %s failed", model_id)
            seat.error = f"{type(exc).__name__}: {exc}"
            raise ApiError(
                500, f"The model `{model_id}` could not be loaded.", code="model_load_failed", param="model"
            ) from exc
        finally:
            seat.loading = None
        logger.info("loaded %s in %.1f s, %d slots", model_id, time.monotonic() - started, seat.engine.slots)
        return seat.engine

    async def _make_room(self) -> None:
        """Unload what is unused for longest until one more fits. Raises ApiError (503) if all are in use."""
        while sum(seat.engine is not None for seat in self._seats.values()) >= self.limits.loaded_models:
            idle = [
                (seat.used_at, name, seat.engine)
                for name, seat in self._seats.items()
                if seat.engine is not None and seat.users == 0
            ]
            if not idle:
                raise overloaded(
                    f"{self.limits.loaded_models} models are loaded and in use. Try again later."
                )
            _, name, engine = min(idle, key=lambda place: place[0])
            del self._seats[name]
            await _in_daemon_thread(engine.close)
            logger.info("unloaded %s", name)

    def _note_import(self, future: asyncio.Future) -> None:
        if future.cancelled():
            return
        error = future.exception()
        self.is_imported = error is None
        if error is not None:
            self.import_error = f"{type(error).__name__}: {error}"
            logger.error("importing torch and transformers failed: %s", self.import_error)

    def _report_one(self, folder: ModelFolder) -> dict:
        seat = self._seats.get(folder.id, Seat())
        refusal = _find_refusal(folder)
        if refusal or seat.error:
            return {
                "id": folder.id,
                "state": "refused" if refusal else "failed",
                "reason": refusal or seat.error,
            }
        is_ready = seat.engine is not None and seat.engine.is_alive
        state = "loading" if seat.loading else "ready" if is_ready else "idle"
        active = seat.engine.count_active() if seat.engine is not None else 0
        return {"id": folder.id, "state": state, "requests": seat.users, "active": active}


def _find_refusal(folder: ModelFolder) -> str | None:
    try:
        folder.check()
    except RefusedModel as exc:
        return str(exc)
    return None


def _import_engines(threads: int) -> dict[str, type[Engine]]:
    """Import torch and transformers (seconds) and fix the thread count, once for the process."""
    with importing():
        engines = {kind: importlib.import_module(module).Engine for kind, module in ENGINES.items()}
    importlib.import_module("torch").set_num_threads(threads)
    return engines


def _in_daemon_thread(function: Callable[..., Any], *arguments: Any) -> asyncio.Future:
    """Run a blocking function in a thread that does not keep the process alive (executors' threads would,
    until the import is over).
    """
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def conclude(setter: Callable, value: Any) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        try:
            result = function(*arguments)
        except BaseException as exc:
            loop.call_soon_threadsafe(conclude, future.set_exception, exc)
        else:
            loop.call_soon_threadsafe(conclude, future.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return future
