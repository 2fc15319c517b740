"""What people call the purposes of files. A room names its own here: `LABELS["document"] = _("document")`."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

LABELS: dict[str, Promise] = {  # OpenAI's
    "assistants": _("for assistants"),
    "assistants_output": _("made by an assistant"),
    "batch": _("batch of calls"),
    "batch_output": _("answers to a batch of calls"),
    "fine-tune": _("training data"),
    "fine-tune-results": _("results of a training"),
    "vision": _("pictures for training"),
    "user_data": _("own data"),
    "evals": _("evaluation data"),
}


def name_purpose(purpose: str) -> str:
    return str(LABELS.get(purpose, pgettext_lazy("purpose of a file", "other")))
