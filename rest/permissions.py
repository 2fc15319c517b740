"""Who may do what at `/api/v1`. A module of its own, since the settings name it and views import the
settings.
"""

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

ANYONE = ""  # in `rights`: everyone who is logged in; the selectors decide what they see


class ByAction(IsAuthenticated):
    """`rights` maps an action (or, without a view set, a method) to a permission. What is not in it is
    forbidden.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        action = view.action if hasattr(view, "action_map") else request.method.lower()
        if request.method == "OPTIONS" or action is None or not hasattr(view, action):
            return True  # there is no such method here: the view answers 405
        permission = view.rights.get(action)
        if permission is None:
            return False
        return permission == ANYONE or request.user.has_perm(permission)
