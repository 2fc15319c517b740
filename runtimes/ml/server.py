"""The embedded runtime: an OpenAI-style model server on transformers, in a process of its own, without
Django.

    python -m runtimes.ml.server --models DIR [--models DIR2 ...] --port N [--host 127.0.0.1] [--preload]
                                 [--threads 1] [--sources DIR --make-in DIR]

Each sub-folder of DIR with a config.json is a model. The server listens at once; torch is imported in
the background, and a request that comes before waits for it. GET /health tells `loading` or `ready` and the
state of each model. With --sources and --make-in, a child process makes the first models' folders meanwhile
(runtimes.ml.conversion).

Covers: chat and embedding models that fit on a CPU; callers know the token in ATRIUM_RUNTIME_TOKEN (or the
file that ATRIUM_RUNTIME_TOKEN_FILE names). Does not cover: adapters, GPUs, other kinds. Production runs vLLM
behind the same HTTP.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from foundation.log_lines import LineFormatter

from .conversion.recipes import RECIPES
from .preparation import Preparation
from .routes import build_app
from .shelf import Limits, ModelShelf

logger = logging.getLogger(__name__)
SHUTDOWN_S = 0.5  # streams in flight are cut off after this


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runtimes.ml.server", description="OpenAI-style server for the models in a folder."
    )
    _add_folders(parser)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free port; the log names it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--preload", action="store_true", help="load the models at start instead of on first use"
    )
    _add_limits(parser)
    return parser.parse_args(arguments)


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="folder whose sub-folders are models; may be repeated",
    )
    parser.add_argument(
        "--sources", type=Path, metavar="DIR", help="folder with the fetched files of the first models"
    )
    parser.add_argument(
        "--make-in",
        type=Path,
        metavar="DIR",
        help="folder in which models are made of them (one of --models)",
    )
    parser.add_argument(
        "--recipes", type=Path, default=RECIPES, metavar="DIR", help="what is made, and how (ours)"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    for name, usual, text in (
        ("--threads", Limits.threads, "CPU threads of torch"),
        ("--slots", Limits.slots, "answers generated at once, per model"),
        ("--max-waiting", Limits.waiting, "requests that may wait, per model, before 503"),
        ("--max-loaded", Limits.loaded_models, "models in memory at once"),
    ):
        parser.add_argument(name, type=int, default=usual, help=f"{text} (default %(default)s)")


def read_token() -> str:
    """Raises OSError if the file cannot be read."""
    path = os.environ.get("ATRIUM_RUNTIME_TOKEN_FILE")
    return Path(path).read_text().strip() if path else os.environ.get("ATRIUM_RUNTIME_TOKEN", "").strip()


def prepare_environment(threads: int) -> None:
    """Must run before torch is imported: no network, and threads that sleep instead of spinning on a shared
    machine.
    """
    os.environ.update(
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TRANSFORMERS_VERBOSITY=os.environ.get("TRANSFORMERS_VERBOSITY", "error"),
    )
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        OMP_WAIT_POLICY="PASSIVE",
        TOKENIZERS_PARALLELISM="false",
        CUDA_VISIBLE_DEVICES="",
    )


async def serve(arguments: argparse.Namespace, token: str) -> None:
    """Listen until SIGTERM or SIGINT, then cut off what runs and stop.
    Raises OSError if the address is taken.
    """
    limits = Limits(
        slots=arguments.slots,
        waiting=arguments.max_waiting,
        loaded_models=arguments.max_loaded,
        threads=arguments.threads,
    )
    shelf = ModelShelf(arguments.models, limits)
    preparation = Preparation(arguments.sources, arguments.make_in, arguments.recipes)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(
        build_app(shelf, preparation, token),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, arguments.host, arguments.port).start()
        logger.info("listening on http://%s:%d", *runner.addresses[0][:2])
        shelf.start(preload=arguments.preload)
        preparation.start()
        await stopped.wait()
    finally:
        logger.info("stopping")
        preparation.close()
        await runner.cleanup()
        shelf.close()


def main() -> None:
    arguments = parse_arguments()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.WARNING)
    prepare_environment(arguments.threads)
    exit_code = 0
    try:
        asyncio.run(serve(arguments, read_token()))
    except OSError as exc:
        logger.error("cannot listen on %s:%d: %s", arguments.host, arguments.port, exc.strerror)
        exit_code = 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # a thread may still be importing torch, and the interpreter would wait for it or crash under it
    os._exit(exit_code)


if __name__ == "__main__":
    main()
