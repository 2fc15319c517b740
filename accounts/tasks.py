"""Mails that this room sends after the answer is given. Twice is harmless: both links work until one is
used.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from smtplib import SMTPException
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.mails import send_invitation_mail, send_password_reset_mail
from accounts.models import User
from accounts.work_names import INVITATION, PASSWORD_RESET, QUEUE
from foundation import told
from foundation.errors import UpstreamError
from tenants.selectors import get_organisation_name
from tenants.work.earlier import take_messages
from tenants.work.kinds import work_kind
from tenants.work.runs import Run

logger = logging.getLogger(__name__)


def send_invitation(run: Run) -> None:
    """The mail with the link for the first password."""
    user = User.objects.filter(pk=run.object_id, is_active=True).first()
    if user is not None:
        with _mail_server():
            send_invitation_mail(user, get_organisation_name())


def send_password_reset(run: Run) -> None:
    """The mail with the link for a new password, if the address is somebody's."""
    user = User.objects.filter(email__iexact=run.arguments["email"], is_active=True).first()
    if user is not None:
        with _mail_server():
            send_password_reset_mail(user, get_organisation_name(), run.arguments["language"])


@contextmanager
def _mail_server() -> Iterator[None]:
    try:
        yield
    except (SMTPException, OSError) as exc:
        logger.warning("the mail server took no mail: %s", type(exc).__name__)
        text = told.gettext("The mail server did not take the message. The worker's log may say why.")
        raise UpstreamError(text, code="mail_not_taken") from exc


# A mail server that is away is asked again for about an hour. Nobody reads afterwards who asked for what: the
# orders of those that were sent go at once.
MAILS: dict[str, Any] = {
    "queue": QUEUE,
    "is_killable": False,
    "is_kept": False,
    "backoff_s": 30.0,
    "most_attempts": 11,
}
work_kind(INVITATION, run=send_invitation, label=_("Sending an invitation"), **MAILS)
work_kind(PASSWORD_RESET, run=send_password_reset, label=_("Sending a link for a new password"), **MAILS)
take_messages(INVITATION, "user_id")
take_messages(PASSWORD_RESET)
