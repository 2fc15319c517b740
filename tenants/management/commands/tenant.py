"""`manage.py tenant create | set | list | suspend | resume | migrate`."""

import sys

from django.conf import settings

from foundation.commands import AtriumCommand
from foundation.errors import Conflict, InvalidInput
from launcher.values import read_line
from tenants.context import owner, platform
from tenants.data_policy import DataPolicy
from tenants.database.schemas import migrate_public, migrate_template, migrate_tenants
from tenants.models import Tenant
from tenants.provisioning.plans import TenantChanges, update_tenant
from tenants.provisioning.services import DEFAULT_PLAN, create_tenant, ensure_default_plans, set_tenant_status
from tenants.selectors import list_plans


class Command(AtriumCommand):
    help = "Create, list, suspend, resume and upgrade tenants."

    def add_actions(self) -> None:
        create = self.add_action("create", self.create, "make a tenant and its owner")
        create.add_argument("slug")
        create.add_argument("--owner", required=True, metavar="EMAIL")
        create.add_argument("--name", default="")
        create.add_argument("--host", default="", help="default: SLUG.localhost")
        create.add_argument("--plan", default=DEFAULT_PLAN)
        create.add_argument("--currency", default="EUR")
        create.add_argument("--language", default="en", choices=[code for code, _ in settings.LANGUAGES])
        create.add_argument(
            "--password-stdin", action="store_true", help="read the owner's password from standard input"
        )
        change = self.add_action("set", self.set, "change a tenant")
        change.add_argument("slug")
        change.add_argument(
            "--data-policy",
            choices=["anywhere", *filter(None, DataPolicy.values)],
            help="where its data may go; a call that no allowed connection can take is refused",
        )
        change.add_argument("--plan")
        change.add_argument("--name")
        self.add_action("list", self.list, "show all tenants")
        for name, run in (("suspend", self.suspend), ("resume", self.resume)):
            self.add_action(name, run, f"{name} a tenant").add_argument("slug")
        migrate = self.add_action(
            "migrate", self.migrate, "upgrade public, the template and the tenants that are behind"
        )
        migrate.add_argument("--processes", type=int, default=2)

    def create(self, options) -> None:
        password = read_line(sys.stdin) if options["password_stdin"] else None
        slug = options["slug"]
        if not settings.HAS_OWNER_LOGIN:
            raise Conflict("ATRIUM_OWNER_DATABASE_URL is not set: making a tenant needs the owner's login.")
        host = options["host"] or f"{slug}.localhost"
        with platform():
            ensure_default_plans()
        row = create_tenant(
            slug=slug,
            name=options["name"],
            host=host,
            plan=options["plan"],
            currency=options["currency"],
            language=options["language"],
            owner_email=options["owner"],
            owner_password=password,
        )
        self.show(
            {"slug": row.slug, "host": host, "owner": options["owner"]}, f"Tenant {slug} is ready at {host}."
        )

    def set(self, options) -> None:
        changes: TenantChanges = {}
        if options["data_policy"]:
            changes["data_policy"] = options["data_policy"].replace("anywhere", DataPolicy.ANYWHERE)
        if options["name"]:
            changes["name"] = options["name"]
        if options["plan"]:
            with platform():
                plans = list_plans([options["plan"]])
            if not plans:
                raise InvalidInput(f"There is no plan “{options['plan']}”.", param="plan")
            changes["plan"] = plans[0]
        row = update_tenant(slug=options["slug"], **changes)
        self.show(
            {"slug": row.slug, "name": row.name, "plan": row.plan.name, "data_policy": row.data_policy},
            f"Tenant {row.slug} is set.",
        )

    def list(self, options) -> None:
        with platform():
            rows = Tenant.objects.select_related("plan").prefetch_related("domains")
            self.show(
                [
                    {
                        "slug": row.slug,
                        "name": row.name,
                        "status": row.status,
                        "data_policy": row.data_policy,
                        "plan": row.plan.name,
                        "hosts": ",".join(d.domain for d in row.domains.all()),
                    }
                    for row in rows
                ]
            )

    def suspend(self, options) -> None:
        set_tenant_status(slug=options["slug"], status=Tenant.Status.SUSPENDED)
        self.show(
            {"slug": options["slug"], "status": "suspended"},
            f"Tenant {options['slug']} is suspended; its data stays.",
        )

    def resume(self, options) -> None:
        set_tenant_status(slug=options["slug"], status=Tenant.Status.ACTIVE)
        self.show({"slug": options["slug"], "status": "active"}, f"Tenant {options['slug']} is active.")

    def migrate(self, options) -> None:
        migrate_public()
        migrate_template()
        with owner():
            slugs = list(Tenant.objects.exclude(status__in=Tenant.UNREADY).values_list("slug", flat=True))
        report = migrate_tenants(slugs, options["processes"])
        self.show(
            vars(report),
            (
                f"{len(report.migrated)} upgraded, {len(report.current)} were current, {len(report.failed)} "
                "failed."
            ),
        )
        if report.failed:
            raise InvalidInput("; ".join(f"{slug}: {error}" for slug, error in report.failed.items()))
