"""`manage.py connection add | list | test | sync | remove`."""

from dataclasses import asdict

from foundation.commands import AtriumCommand
from foundation.errors import AtriumError, InvalidInput, UpstreamError
from models_registry import services
from models_registry.command_line import add_key, add_scope, chosen_scope, read_key
from models_registry.kinds import Location, TokenLimitName
from models_registry.providers.table import PROVIDERS
from models_registry.selectors import (
    get_visible_connection,
    list_unpriced,
    list_visible_connections,
)
from models_registry.services.catalogue import USUAL_OUTPUT_TOKENS
from models_registry.services.connections import TIMEOUTS
from models_registry.worlds import Connection


class Command(AtriumCommand):
    help = "Add, list, test and synchronise connections to providers of models."

    def add_actions(self) -> None:
        add = self.add_action("add", self.add, "add a way to a provider")
        add.add_argument("--name", required=True)
        add.add_argument("--kind", required=True, choices=PROVIDERS)
        add.add_argument(
            "--base-url",
            default="",
            help="with the version, as https://host/v1; default: the usual one of the kind",
        )
        add_key(add)
        add_scope(add)
        add.add_argument(
            "--allow-private", action="store_true", help="let it reach this machine and private networks"
        )
        add.add_argument(
            "--location",
            choices=[value for value in Location.values if value],
            help="where prompts are processed; default: by kind",
        )
        add.add_argument(
            "--no-storage", action="store_true", help="the provider keeps neither prompts nor answers"
        )
        for name in TIMEOUTS:
            option = name.removesuffix("_s").replace("_", "-")
            add.add_argument(
                f"--{option}", dest=name, type=int, metavar="S", help="seconds; default: by kind"
            )
        add.add_argument("--token-limit-name", choices=[name for name in TokenLimitName.values if name])
        add.add_argument("--sync", action="store_true", help="add the models that the provider lists")
        add_scope(self.add_action("list", self.list, "show all connections"))
        for name, run, text in (
            ("test", self.test, "ask a provider for its models"),
            ("sync", self.sync, "bring models in line with what the provider lists"),
        ):
            self._name_one(self.add_action(name, run, text))
        remove = self.add_action("remove", self.remove, "remove a connection")
        self._name_one(remove)
        remove.add_argument("--force", action="store_true", help="also remove its models")

    def _name_one(self, parser) -> None:
        parser.add_argument("name", metavar="NAME")
        add_scope(parser)

    def add(self, options) -> None:
        if not options["base_url"] and not PROVIDERS[options["kind"]].base_url:
            self._usage_error(f"--base-url is needed for kind {options['kind']}")
        with chosen_scope(options):
            row = self._add(options)
            text, added = f"Connection {row.name} leads to {row.base_url}.", {}
            if options["sync"]:
                report = self._sync_or_remove(row)
                added = {"models": report.added, "unpriced": report.unpriced, "refused": report.refused}
                added["without_price"] = list_unpriced(row)
                text += f" {len(report.added)} models were added.{_tell_refused(report, options)}"
                text += _tell_off(report.unpriced, options) + (_tell_bound(options) if report.added else "")
                text += _advise(added["without_price"], options)
        self.show(_describe(row) | added, text)

    @staticmethod
    def _add(options) -> Connection:
        try:
            return services.add_connection(
                actor=None,
                name=options["name"],
                kind=options["kind"],
                base_url=options["base_url"],
                secret=read_key(options),
                allow_private=options["allow_private"],
                location=options["location"],
                no_storage=options["no_storage"],
                token_limit_name=options["token_limit_name"] or "",
                **{name: options[name] for name in TIMEOUTS},
            )
        except InvalidInput as exc:
            if exc.code == "egress_private":  # who has this command is the operator
                exc.message = f"{exc.message} Here: add --allow-private."
            raise

    @staticmethod
    def _sync_or_remove(row: Connection) -> services.SyncReport:
        """What was added. Where that fails the connection goes, too: the same command, once what
        was wrong is mended, must not find half of itself.
        """
        try:
            return services.sync_catalogue(actor=None, connection=row)
        except BaseException as exc:
            services.remove_connection(actor=None, connection=row, force=True)
            if isinstance(exc, AtriumError):
                exc.message = (
                    f"{exc.message} Nothing was added. Without --sync the connection is added all the same; "
                    "name its models then with: manage.py model set."
                )
            raise

    def list(self, options) -> None:
        with chosen_scope(options):
            self.show([_describe(row) for row in list_visible_connections(None)])

    def test(self, options) -> None:
        with chosen_scope(options):
            result = services.test_connection(
                actor=None, connection=get_visible_connection(None, options["name"])
            )
        if not result.is_ok:
            raise UpstreamError(result.error)
        self.show(
            {"name": options["name"]} | asdict(result),
            f"{options['name']} answered after {result.latency_ms} ms and lists {result.model_count} models.",
        )

    def sync(self, options) -> None:
        with chosen_scope(options):
            row = get_visible_connection(None, options["name"])
            report = services.sync_catalogue(actor=None, connection=row)
            unpriced = list_unpriced(row)
        text = (
            f"{len(report.added)} models added, {report.kept} kept, {len(report.returned)} back, "
            f"{len(report.vanished)} vanished, {report.skipped} skipped.{_tell_refused(report, options)}"
        )
        text += _tell_bound(options) if report.added else ""
        self.show(
            {"name": options["name"]} | asdict(report) | {"without_price": unpriced},
            text + _tell_off(report.unpriced, options) + _advise(unpriced, options),
        )

    def remove(self, options) -> None:
        with chosen_scope(options):
            services.remove_connection(
                actor=None, connection=get_visible_connection(None, options["name"]), force=options["force"]
            )
        self.show({"name": options["name"], "removed": True}, f"Connection {options['name']} is removed.")

    def _usage_error(self, message: str) -> None:
        self.stderr.write(message)
        raise SystemExit(2)


def _tell_off(names: list[str], options) -> str:
    """That models wait for a price; nothing where none does."""
    if not names:
        return ""
    scope = _scope_of(options)
    return (
        f"\nSwitched off, as their price is not known: {', '.join(names)}. For each: manage.py model set "
        f"NAME {scope} --input-price P --output-price P (per million tokens), or --free. That switches it on."
    )


def _tell_refused(report: services.SyncReport, options) -> str:
    """Which models did not come in, and what to do about it; nothing where all did."""
    if not report.refused:
        return ""
    return (
        f"\nModels whose names cannot be used here: {len(report.refused)} ({', '.join(report.refused)}). "
        f"Add them under other names: manage.py model set NAME {_scope_of(options)} --connection CONNECTION "
        "--upstream-name NAME-AT-THE-SERVER."
    )


def _tell_bound(options) -> str:
    return (
        f"\nAnswers to calls that name no max_tokens end after {USUAL_OUTPUT_TOKENS} tokens at most. Another "
        f"bound: manage.py model set NAME {_scope_of(options)} --default-max-output-tokens N."
    )


def _scope_of(options) -> str:
    return "--platform" if options["platform"] else f"--tenant {options['tenant']}"


def _advise(unpriced: list[str], options) -> str:
    """What to do about models without a price; nothing where there are none."""
    if not unpriced:
        return ""
    scope = _scope_of(options)
    return (
        f"\nModels without a price: {len(unpriced)}. Calls to them cost nothing, and no budget stops them. "
        f"Set one: manage.py model set NAME {scope} --input-price P --output-price P (per million tokens)."
    )


def _describe(row: Connection) -> dict:
    return {
        "name": row.name,
        "id": row.pk,
        "kind": row.kind,
        "base_url": row.base_url,
        "has_key": row.has_secret,
        "allow_private": row.allow_private,
        "location": row.location,
        "no_storage": row.no_storage,
        "enabled": row.is_enabled,
        "last_checked_at": row.last_checked_at,
        "last_error": row.failure,
    }
