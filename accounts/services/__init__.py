"""Every write of this room: users, roles, projects, API keys, rights of use, limits, web origins, and
what is done about background tasks.
"""

from accounts.services.grants import forget_object, grant, revoke_grant
from accounts.services.keys import create_api_key, record_key_use, revoke_api_key, update_api_key
from accounts.services.limits import change_limit, remove_limit, set_limit, set_limits
from accounts.services.origins import allow_web_origin, forbid_web_origin
from accounts.services.projects import (
    create_project,
    delete_project,
    ensure_default_project,
    remove_project_member,
    rename_project,
    set_auto_models,
    set_data_policy,
    set_project_member,
)
from accounts.services.roles import create_role, delete_role, update_role
from accounts.services.users import (
    adopt_time_zone,
    create_user,
    invite_user,
    set_checked_password,
    set_roles,
    set_user_active,
    update_profile,
    update_user,
)
from accounts.services.work import cancel_work, retry_work

__all__ = [
    "adopt_time_zone",
    "allow_web_origin",
    "cancel_work",
    "change_limit",
    "create_api_key",
    "create_project",
    "create_role",
    "create_user",
    "delete_project",
    "delete_role",
    "ensure_default_project",
    "forbid_web_origin",
    "forget_object",
    "grant",
    "invite_user",
    "record_key_use",
    "remove_limit",
    "remove_project_member",
    "rename_project",
    "retry_work",
    "revoke_api_key",
    "revoke_grant",
    "set_auto_models",
    "set_checked_password",
    "set_data_policy",
    "set_limit",
    "set_limits",
    "set_project_member",
    "set_roles",
    "set_user_active",
    "update_api_key",
    "update_profile",
    "update_role",
    "update_user",
]
