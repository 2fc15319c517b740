"""Projects and their members: what usage, budgets and keys are booked on."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Grant, Project, ProjectMembership, User
from accounts.permissions import require
from foundation.errors import Conflict
from tenants.notify import announce
from tenants.occasions import Occasion

# Asked in the transaction that deletes a project; whoever has something of it that may not be left alone
# raises Conflict.
deleted_project = Occasion[[Project]]()


def ensure_default_project() -> Project:
    """The project on which everything is booked that names no other."""
    project, _created = Project.objects.get_or_create(
        is_default=True, defaults={"name": Project.ORIGINAL_NAME}
    )
    return project


@transaction.atomic
def create_project(*, actor: User | None, name: str) -> Project:
    """Create a project. Raises NotAllowed, ValidationError."""
    require(actor, "accounts.add_project")
    row = Project(name=name.strip())
    row.full_clean()
    row.save()
    return row


@transaction.atomic
def rename_project(*, actor: User | None, project: Project, name: str) -> Project:
    """Give a project another name; what was booked stays on it. Raises NotAllowed, ValidationError."""
    require(actor, "accounts.change_project")
    project.name = name.strip()
    project.full_clean()
    project.save()
    announce("project", project.pk)
    return project


@transaction.atomic
def set_data_policy(*, actor: User | None, project: Project, data_policy: str) -> Project:
    """Say where the data of a project's calls may go. Raises NotAllowed, ValidationError."""
    require(actor, "accounts.change_project")
    project.data_policy = data_policy
    project.full_clean()
    project.save()
    announce("project", project.pk)
    return project


@transaction.atomic
def set_auto_models(*, actor: User | None, project: Project, names: list[str]) -> Project:
    """Name the models among which “auto” chooses, the first that can do it first; none: by price. Raises
    NotAllowed, ValidationError.
    """
    require(actor, "accounts.change_project")
    project.auto_models = names
    project.full_clean()
    project.save()
    announce("project", project.pk)
    return project


@transaction.atomic
def delete_project(*, actor: User | None, project: Project) -> None:
    """Delete a project that no key uses, and no room above holds fast. What was booked on it stays in the
    ledger. Raises NotAllowed, Conflict.
    """
    require(actor, "accounts.delete_project")
    if project.is_default:
        raise Conflict(
            _("The default project stays: everything that names no other is booked on it."),
            code="default_project",
        )
    if project.api_keys.exists():
        raise Conflict(
            _("API keys are booked on this project. Move them to another project first."),
            code="project_in_use",
        )
    if Grant.objects.filter(project=project).exists():
        raise Conflict(
            _("Rights of use are given to this project. Take them back first."), code="project_in_use"
        )
    deleted_project.run(project)
    project_id = project.pk
    project.delete()
    announce("project", project_id)


@transaction.atomic
def set_project_member(*, actor: User | None, project: Project, user: User, role: str) -> ProjectMembership:
    """Give a person a role in a project, or another role. Raises NotAllowed, ValidationError."""
    require(actor, "accounts.change_project")
    theirs = ProjectMembership.objects.select_for_update().filter(project=project, user=user)
    row = theirs.first() or ProjectMembership(project=project, user=user)
    row.role = role
    row.full_clean()
    row.save()
    announce("project", project.pk)
    return row


@transaction.atomic
def remove_project_member(*, actor: User | None, membership: ProjectMembership) -> None:
    """Take a person out of a project; the keys they have there end. Raises NotAllowed."""
    require(actor, "accounts.change_project")
    membership.delete()
    keys = ApiKey.objects.filter(user=membership.user_id, project=membership.project_id, revoked_at=None)
    for key in keys.select_for_update():
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at", "updated_at"])
        announce("apikey", key.key_id)
    announce("project", membership.project_id)
