"""A pytest plugin that starts the embedded services before Django's settings are read (`-p
tests.services` in pyproject.toml).

Each run has servers of its own in a temporary folder, without fsync; proof rows that need durability start
their own.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

_stack = contextlib.ExitStack()


def _start() -> None:
    from launcher.embedded import embedded_services

    folder = Path(tempfile.mkdtemp(prefix="atrium-test-"))
    _stack.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ.update(ATRIUM_ENV="test", ATRIUM_DATA=str(folder), ATRIUM_PORT="8000")
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "DASHSCOPE_API_KEY",
        "SILICONFLOW_API_KEY",
        "MISTRAL_API_KEY",
        "COHERE_API_KEY",
        "XAI_API_KEY",
        "DEEPSEEK_API_KEY",
        "MOONSHOT_API_KEY",
        "GROQ_API_KEY",
        "ATRIUM_RUNTIME_URL",
    ):
        os.environ.pop(name, None)
    services = _stack.enter_context(embedded_services(folder, test=True))
    os.environ.update(
        DATABASE_URL=services.database_url,
        ATRIUM_OWNER_DATABASE_URL=services.owner_database_url,
        REDIS_URL=services.redis_url,
    )
    atexit.register(_stack.close)


_start()
