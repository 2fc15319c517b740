"""`manage.py prepare [--demo]`: what `up` runs before the platform serves: roles, migrations, plans, and the
demonstration.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from launcher.private_files import write_json
from tenants.context import platform, tenant
from tenants.database.schemas import migrate_public, migrate_template, migrate_tenants
from tenants.links import base_url
from tenants.models import Tenant
from tenants.occasions import demo_tenant, platform_start
from tenants.provisioning.people import people
from tenants.provisioning.services import create_tenant, ensure_default_plans, set_up_tenant

DEMO_TENANTS = {"acme": "Acme", "globex": "Globex"}


class Command(BaseCommand):
    help = "Bring the database up to date and, with --demo, make the demonstration. Prints a JSON line last."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("--demo", action="store_true")

    def handle(self, *args, **options) -> None:
        _close_folders(
            Path(settings.MEDIA_ROOT), Path(getattr(settings, "EMAIL_FILE_PATH", settings.MEDIA_ROOT))
        )
        migrate_public()
        migrate_template()
        with platform():  # in no transaction: rooms wait for the network, and each step may be repeated
            ensure_default_plans()
            platform_start.run()
            slugs = list(Tenant.objects.exclude(status__in=Tenant.UNREADY).values_list("slug", flat=True))
        report = migrate_tenants(slugs)
        if options["demo"] and settings.ATRIUM_ENV != "production":
            self._make_demo(settings.DEMO_FILE)
        if settings.ATRIUM_ENV == "production":
            call_command("collectstatic", interactive=False, verbosity=0)
        self.stdout.write(json.dumps({"migrated": report.migrated, "failed": report.failed}))

    def _make_demo(self, path: Path) -> None:
        demo = json.loads(path.read_text()) if path.exists() else {"platform": {}, "tenants": {}}
        demo["url"] = base_url(None)
        with platform(), transaction.atomic():
            operators = people().make_cast(None, {"olga"} if demo["platform"] else set())
            existing = set(Tenant.objects.values_list("slug", flat=True))
        for login in operators.people.values():
            demo["platform"] = {"host": "localhost", "user": login.email, "password": login.password}
        for slug, name in DEMO_TENANTS.items():
            self._make_demo_tenant(demo, slug, name, slug in existing)
        write_json(path, demo)

    def _make_demo_tenant(self, demo: dict, slug: str, name: str, exists: bool) -> None:
        host = f"{slug}.localhost"
        if exists:
            set_up_tenant(slug)  # nothing, unless the start that made it was killed in the middle
        else:
            create_tenant(slug=slug, name=name, host=host)
        entry = demo["tenants"].setdefault(slug, {"host": host, "users": {}})
        with tenant(slug), transaction.atomic():
            cast = people().make_cast(slug, set(entry["users"]))
            if slug == next(iter(DEMO_TENANTS)):
                demo_tenant.run(slug, entry)
        if cast.api_key is not None:
            entry["api_key"] = cast.api_key
        entry["users"].update({name: asdict(login) for name, login in cast.people.items()})


def _close_folders(*folders: Path) -> None:
    """Files and mails of earlier versions were readable by others; the folder keeps them out."""
    for folder in folders:
        if folder.is_dir() and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
