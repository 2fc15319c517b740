"""Projects, and on which of them someone may book."""

from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Project, User
from foundation.errors import NotFound


def list_projects() -> QuerySet[Project]:
    return Project.objects.all()


def list_projects_of(user: User) -> QuerySet[Project]:
    """The projects a person is a member of."""
    return Project.objects.filter(memberships__user=user)


def list_visible_projects(user: User) -> QuerySet[Project]:
    """The projects a person may book on: the default one and those they are a member of; with
    `accounts.view_project`, all.
    """
    rows = Project.objects.all()
    return (
        rows
        if user.has_perm("accounts.view_project")
        else rows.filter(Q(is_default=True) | Q(memberships__user=user)).distinct()
    )


def get_visible_project(user: User, pk: UUID | str) -> Project:
    """One of the projects the person may book on. Raises NotFound."""
    row = list_visible_projects(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such project."), param="project")
    return row


def list_member_projects(user: User) -> QuerySet[Project]:
    """Where a person's chats may be booked: the default project and those they are a member of."""
    rows = Project.objects.filter(Q(is_default=True) | Q(memberships__user=user))
    return rows.distinct().order_by("-is_default", "name")


def get_member_project(user: User, pk: UUID | str) -> Project:
    """One of the projects on which a person's chats may be booked. Raises NotFound."""
    try:
        row = list_member_projects(user).filter(pk=pk).first()
    except ValidationError:  # this is no id
        row = None
    if row is None:
        raise NotFound(_("There is no such project, or you are not a member of it."), param="project")
    return row


def find_project(name: str) -> Project | None:
    return Project.objects.filter(name=name).first()


def name_projects(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Id → name, of those there are."""
    return {project.pk: str(project) for project in Project.objects.filter(pk__in=ids)}


def get_project_policies() -> dict[UUID, str]:
    """Project id → where its data may go, of those that say so."""
    return dict(Project.objects.exclude(data_policy="").values_list("pk", "data_policy"))


def get_auto_models() -> dict[UUID, tuple[str, ...]]:
    """Project id → the models among which “auto” chooses there, of those that name some."""
    rows = Project.objects.exclude(auto_models=[]).values_list("pk", "auto_models")
    return {pk: tuple(names) for pk, names in rows}


def find_auto_models(project: Project) -> tuple[str, ...]:
    """The models among which “auto” chooses for calls of a project: its own list, else the default one's."""
    if project.auto_models or project.is_default:
        return tuple(project.auto_models)
    return tuple(Project.objects.values_list("auto_models", flat=True).get(is_default=True))


def get_default_project_id() -> UUID:
    return Project.objects.values_list("pk", flat=True).get(is_default=True)
