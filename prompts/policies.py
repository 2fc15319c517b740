"""What was written under a data policy stays under it."""

from accounts.models import Project
from accounts.services.projects import deleted_project, ensure_default_project
from foundation.errors import Conflict, NotAllowed
from foundation.told import gettext as _
from foundation.told import ngettext
from prompts.models import Conversation
from tenants.data_policy import DataPolicy, strictest


def refuse_looser_policy(conversation: Conversation, project: Project) -> None:
    """By way of another project. Raises NotAllowed."""
    before = (conversation.project or ensure_default_project()).data_policy
    if strictest(before, project.data_policy) != project.data_policy and conversation.messages.exists():
        raise NotAllowed(looser_policy(before), code="data_policy", param="project")


@deleted_project.register
def keep_policy_of_project(project: Project) -> None:
    """Its conversations fall to the default project: what was written in them may not go further by that.
    Raises Conflict.
    """
    written = Conversation.objects.filter(project=project, messages__isnull=False).distinct().count()
    after = ensure_default_project().data_policy
    if written and strictest(project.data_policy, after) != after:
        message = ngettext(
            "%(count)d conversation was written under the data policy of this project (%(policy)s), and "
            "would leave it. Let its person delete it, or give the default project that policy.",
            "%(count)d conversations were written under the data policy of this project (%(policy)s), and "
            "would leave it. Let their people delete them, or give the default project that policy.",
            written,
        ) % {"count": written, "policy": DataPolicy(project.data_policy).label}
        raise Conflict(message, code="project_in_use")


def looser_policy(policy: str) -> str:
    return _(
        "This conversation was begun where data may go to: %(policy)s. Begin a new conversation for a "
        "project that allows more."
    ) % {"policy": DataPolicy(policy).label}
