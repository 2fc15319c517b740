"""`manage.py masterkey rewrap`."""

from django.core.management.base import CommandError

from foundation.commands import AtriumCommand
from tenants.sealing import NoDataKey, rewrap_data_keys


class Command(AtriumCommand):
    help = "Change the master key that wraps the tenants' data keys."

    def add_actions(self) -> None:
        self.add_action(
            "rewrap", self.rewrap, "wrap every data key with the first of ATRIUM_MASTER_KEYS; safe to repeat"
        )

    def rewrap(self, options) -> None:
        try:
            count = rewrap_data_keys()
        except NoDataKey as exc:
            raise CommandError(str(exc)) from exc
        self.show(
            {"schemas": count},
            (
                f"{count} data keys are wrapped with the first master key. The others can be removed from "
                "ATRIUM_MASTER_KEYS."
            ),
        )
