"""What all management commands share: clear errors on stderr, JSON for scripts, exit codes 0, 1 (refused) and
2 (wrong usage).
"""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from foundation.errors import AtriumError, is_not_set_up
from foundation.spacing import join_texts


class AtriumCommand(BaseCommand):
    """A command with actions: `add_action` names a method that gets the parsed options."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON for scripts")
        self._actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        self.add_actions()

    def add_actions(self) -> None:
        """Subclasses call `add_action` here."""

    def add_action(self, name: str, run, help_text: str):
        parser = self._actions.add_parser(name, help=help_text)
        parser.set_defaults(run=run)
        parser.add_argument(
            "--json", action="store_true", dest="as_json", default=False, help="print JSON for scripts"
        )
        return parser

    def handle(self, *args, **options) -> None:
        self.as_json = options["as_json"]
        try:
            options["run"](options)
        except AtriumError as exc:
            raise CommandError(str(exc.message)) from exc
        except ValidationError as exc:
            raise CommandError(join_texts(exc.messages)) from exc
        except DatabaseError as exc:
            if is_not_set_up(exc):
                message = (
                    "This database is not set up. Run `manage.py prepare` first, or name the right one: "
                    "ATRIUM_DATA (now {}) or DATABASE_URL."
                )
                raise CommandError(message.format(settings.DEMO_FILE.parent)) from exc
            raise

    def show(self, value: Any, text: str | None = None) -> None:
        """Print a value: as JSON with `--json`, else the text (or `key: value` lines)."""
        if self.as_json:
            self.stdout.write(json.dumps(value, default=str, ensure_ascii=False))
        elif text is not None:
            self.stdout.write(text)
        else:
            rows = value if isinstance(value, list) else [value]
            for row in rows:
                self.stdout.write("  ".join(f"{name}={content}" for name, content in row.items()))
