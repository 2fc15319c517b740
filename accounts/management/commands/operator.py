"""`manage.py operator create | list | deactivate`: who operates the platform. The first one is made here;
the others can be made in `/admin/`.
"""

import sys

from django.db import transaction

from accounts.models import User
from accounts.selectors import get_user_by_email
from accounts.services import create_user, invite_user, set_user_active
from foundation.commands import AtriumCommand
from launcher.values import read_line
from tenants.context import platform


class Command(AtriumCommand):
    help = (
        "Create, list and deactivate the platform's operators. They are never deleted: what they did keeps "
        "its name."
    )

    def add_actions(self) -> None:
        create = self.add_action("create", self.create, "make an operator")
        create.add_argument("email", metavar="EMAIL")
        create.add_argument("--name", default="", help="default: what stands before the @")
        create.add_argument(
            "--password-stdin",
            action="store_true",
            help="read the password from standard input; default: a mail with a link to choose one",
        )
        self.add_action("list", self.list, "show all operators")
        self.add_action("deactivate", self.deactivate, "keep an operator out").add_argument(
            "email", metavar="EMAIL"
        )

    def create(self, options) -> None:
        email, password = options["email"], read_line(sys.stdin) if options["password_stdin"] else None
        with platform(), transaction.atomic():
            row = create_user(
                actor=None,
                email=email,
                name=options["name"] or email.split("@")[0],
                password=password,
                is_operator=True,
            )
            if password is None:
                invite_user(actor=None, user=row)
        how = (
            "a mail with a link to choose a password is on its way"
            if password is None
            else "the password is set"
        )
        self.show({"email": row.email, "invited": password is None}, f"Operator {row.email} is made; {how}.")

    def list(self, options) -> None:
        with platform():
            rows = User.objects.filter(is_superuser=True)
            self.show(
                [
                    {
                        "email": row.email,
                        "name": row.name,
                        "active": row.is_active,
                        "last_login": row.last_login,
                    }
                    for row in rows
                ]
            )

    def deactivate(self, options) -> None:
        with platform():
            row = get_user_by_email(options["email"])
            set_user_active(actor=None, user=row, is_active=False)
        self.show({"email": row.email, "active": False}, f"Operator {row.email} can no longer log in.")
