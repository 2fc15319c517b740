"""What an administrator is told beside a form that was saved."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext

from models_registry.selectors import list_unasked_stand_ins
from models_registry.worlds import Model


def warn_of_unasked_stand_ins(request: HttpRequest, row: Model) -> None:
    """Which stand-ins of stand-ins do not answer for this model."""
    text = gettext(
        "“%(name)s” has stand-ins of its own, which do not answer for this model: %(others)s. Choose them "
        "here if they are to."
    )
    for name, others in list_unasked_stand_ins(row):
        messages.warning(request, text % {"name": name, "others": ", ".join(others)})
