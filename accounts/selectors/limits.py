"""Which limits someone may see, and which bind a key."""

from uuid import UUID

from django.db.models import Min, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Limit, User
from accounts.selectors.keys import list_own_api_keys
from accounts.selectors.projects import list_projects_of
from foundation.errors import NotFound


def list_visible_limits(user: User) -> QuerySet[Limit]:
    """The limits of a person, their keys, their projects and their organisation; with `accounts.view_limit`,
    all.
    """
    rows = Limit.objects.select_related("project", "user", "key")
    if user.has_perm("accounts.view_limit"):
        return rows
    return rows.filter(
        Q(level=Limit.Level.TENANT)
        | Q(user=user)
        | Q(key__in=list_own_api_keys(user).values("pk"))
        | Q(project__in=list_projects_of(user).values("pk"))
    )


def get_visible_limit(user: User, pk: UUID | str) -> Limit:
    """One of the limits the person may see. Raises NotFound."""
    row = list_visible_limits(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such limit."))
    return row


def list_own_limits(user: User) -> QuerySet[Limit]:
    """A person's own limits and those of their keys that still open something."""
    usable = Q(key__user=user, key__revoked_at=None)
    return Limit.objects.select_related("user", "key").filter(Q(user=user) | usable).order_by("-level", "key")


def find_limit(level: str, subject_id: UUID | None, measure: str) -> Limit | None:
    """The limit of one subject, or of the organisation."""
    subject = {} if level == Limit.Level.TENANT else {_column(level): subject_id}
    return Limit.objects.filter(level=level, measure=measure, **subject).first()


def _column(level: str) -> str:
    return "model_id" if level == Limit.Level.MODEL else f"{level}_id"


def get_least_limits(key: ApiKey) -> dict[str, int]:
    """Measure → the lowest limit of a key and of those that made it, all of which bind it."""
    rows = Limit.objects.filter(level=Limit.Level.KEY, key__in=[key.pk, *key.maker_ids])
    return dict(
        rows.order_by().values("measure").annotate(least=Min("amount")).values_list("measure", "least")
    )
