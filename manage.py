"""Atrium's commands. `up` starts everything, so it runs before there are settings, and imports no Django."""

import gc
import os
import sys


def main() -> None:
    # whatever this process and its children write, mails with links above all, is nobody else's to read
    os.umask(0o077)
    if sys.argv[1:2] == ["up"]:
        from launcher.up import main as up

        sys.exit(up(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    gc.disable()  # until the applications stand (foundation.collector)
    from django.core.management import execute_from_command_line

    from foundation import endings

    try:
        execute_from_command_line(sys.argv)
    finally:
        endings.end()


if __name__ == "__main__":
    main()
