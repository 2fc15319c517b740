"""`manage.py createsuperuser`: Django's command knows neither scopes nor services, so it leads to ours."""

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    help = "Not used here: see `manage.py operator create`."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def handle(self, *args, **options) -> str:
        raise CommandError("Here the platform's operators are made with `manage.py operator create EMAIL`.")
