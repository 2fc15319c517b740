"""The permission table (S04 of docs/proofs.md): for every route of both kinds of host, what each role gets.

    Row("GET", "api-me", "401 200 200 200 200 200 200")

Statuses stand in the order of ROLES; `-` leaves a role out. Objects belong to the person with the role `user`
of the same tenant. Requests carry no data unless the row says so, so a 400 or 200 with an empty form tells
that the door is open. `tests/test_permissions.py` runs it and refuses routes that are missing here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

ROLES = ("anonymous", "user", "ai_developer", "auditor", "billing", "admin", "owner")
OPERATORS = ("anonymous", "operator")


@dataclass(frozen=True)
class Row:
    """`object` names an attribute of the estate whose id the route takes, under the keyword `id`."""

    method: str
    route: str
    statuses: str
    object: str = ""
    keyword: str = "pk"
    data: dict = field(default_factory=dict)

    def expected(self, roles: tuple[str, ...]) -> dict[str, int]:
        found = self.statuses.split()
        if len(found) == 1:
            found *= len(roles)
        if len(found) != len(roles):
            raise ValueError(
                f"{self.method} {self.route}: {len(roles)} statuses are needed, not {len(found)}."
            )
        return {role: int(status) for role, status in zip(roles, found, strict=True) if status != "-"}


def page(method: str, route: str, statuses: str = "302 200 200 200 200 200 200", **kwargs) -> Row:
    """A page for everyone who is logged in."""
    return Row(method, route, statuses, **kwargs)


#                                                     anon user dev  aud  bill adm  owner
API = [
    Row("GET", "api-me",                             "401  200  200  200  200  200  200"),
    Row("PATCH", "api-me",                           "401  200  200  200  200  200  200"),
    Row("GET", "api-apikey-list",                    "401  200  200  200  200  200  200"),
    Row("POST", "api-apikey-list",                   "401  400  400  400  400  400  400"),
    Row("GET", "api-apikey-detail",                  "401  200  404  200  404  200  200", "key"),
    Row("PATCH", "api-apikey-detail",                "401  200  404  403  404  200  200", "key"),
    Row("DELETE", "api-apikey-detail",               "401  204  404  403  404  204  204", "key"),
    Row("GET", "api-budget-list",                    "401  200  200  200  200  200  200"),
    Row("POST", "api-budget-list",                   "401  403  403  403  400  400  400"),
    Row("GET", "api-budget-detail",                  "401  404  200  200  200  200  200", "budget"),
    Row("PATCH", "api-budget-detail",                "401  403  403  403  200  200  200", "budget"),
    Row("DELETE", "api-budget-detail",               "401  403  403  403  204  204  204", "budget"),
    Row("PATCH", "api-budget-detail",                "401  403  403  403  403  403  403", "plan_budget"),
    Row("DELETE", "api-budget-detail",               "401  403  403  403  403  403  403", "plan_budget"),
    Row("GET", "api-collection-list",                "401  200  200  200  200  200  200"),
    Row("POST", "api-collection-list",               "401  400  400  400  400  400  400"),
    Row("GET", "api-collection-detail",              "401  200  200  200  200  200  200", "collection"),
    Row("PATCH", "api-collection-detail",            "401  403  200  403  403  200  200", "collection"),
    Row("DELETE", "api-collection-detail",           "401  403  204  403  403  204  204", "collection"),
    Row("GET", "api-collection-documents",           "401  200  200  200  200  200  200", "collection"),
    Row("POST", "api-collection-documents",          "401  400  400  400  400  400  400", "collection"),
    Row("GET", "api-collection-questions",           "401  200  200  200  200  200  200", "collection"),
    Row("POST", "api-collection-questions",          "401  400  400  400  400  400  400", "collection"),
    Row("GET", "api-collection-graph",               "401  200  200  200  200  200  200", "collection"),
    Row("POST", "api-collection-graph",              "401  400  400  400  400  400  400", "collection"),
    Row("DELETE", "api-collection-graph",            "401  403  409  403  403  409  409", "collection"),
    Row("GET", "api-collection-graph",               "401  200  404  404  404  404  404", "own_collection"),
    Row("POST", "api-collection-rebuild",            "401  403  202  403  403  202  202", "collection"),
    Row("POST", "api-collection-hand-over",          "401  400  400  400  400  400  400", "collection"),
    Row("POST", "api-collection-search",             "401  400  400  400  400  400  400", "collection"),
    Row("GET", "api-collection-detail",              "401  200  404  404  404  404  404", "own_collection"),
    Row("PATCH", "api-collection-detail",            "401  200  404  404  404  404  404", "own_collection"),
    Row("DELETE", "api-collection-detail",           "401  204  404  404  404  404  404", "own_collection"),
    Row("GET", "api-collection-documents",           "401  200  404  404  404  404  404", "own_collection"),
    Row("POST", "api-collection-hand-over",          "401  400  404  404  404  404  404", "own_collection"),
    Row("POST", "api-collection-search",             "401  400  404  404  404  404  404", "own_collection"),
    Row("POST", "api-collection-rebuild",            "401  202  404  404  404  404  404", "own_collection"),
    Row("GET", "api-connection-list",                "401  403  200  200  403  200  200"),
    Row("POST", "api-connection-list",               "401  403  403  403  403  400  400"),
    Row("GET", "api-connection-detail",              "401  403  200  200  403  200  200", "connection"),
    Row("PATCH", "api-connection-detail",            "401  403  403  403  403  200  200", "connection"),
    Row("DELETE", "api-connection-detail",           "401  403  403  403  403  409  409", "connection"),
    Row("POST", "api-connection-test",               "401  403  403  403  403  200  200", "connection"),
    Row("POST", "api-connection-sync",               "401  403  403  403  403  502  502", "connection"),
    Row("GET", "api-conversation-list",              "401  200  200  200  200  200  200"),
    Row("GET", "api-conversation-detail",            "401  200  404  404  404  404  404", "conversation"),
    Row("PATCH", "api-conversation-detail",          "401  400  404  404  404  404  404", "conversation"),
    Row("DELETE", "api-conversation-detail",         "401  204  404  404  404  404  404", "conversation"),
    Row("GET", "api-conversation-messages",          "401  200  404  404  404  404  404", "conversation"),
    Row("GET", "api-document-detail",                "401  200  200  200  200  200  200", "document"),
    Row("PATCH", "api-document-detail",              "401  403  200  403  403  200  200", "document"),
    Row("DELETE", "api-document-detail",             "401  403  204  403  403  204  204", "document"),
    Row("POST", "api-document-retry",                "401  403  409  403  403  409  409", "document"),
    Row("POST", "api-document-cancel",               "401  403  202  403  403  202  202", "document"),
    Row("GET", "api-grant-list",                     "401  403  403  200  403  200  200"),
    Row("POST", "api-grant-list",                    "401  403  403  403  403  400  400"),
    Row("GET", "api-grant-detail",                   "401  403  403  200  403  200  200", "right"),
    Row("DELETE", "api-grant-detail",                "401  403  403  403  403  204  204", "right"),
    Row("GET", "api-limit-list",                     "401  200  200  200  200  200  200"),
    Row("POST", "api-limit-list",                    "401  403  403  403  403  400  400"),
    Row("GET", "api-limit-plan",                     "401  200  200  200  200  200  200"),
    Row("GET", "api-limit-detail",                   "401  200  200  200  200  200  200", "limit"),
    Row("GET", "api-limit-detail",                   "401  200  404  200  404  200  200", "user_limit"),
    Row("PATCH", "api-limit-detail",                 "401  403  403  403  403  400  400", "limit"),
    Row("DELETE", "api-limit-detail",                "401  403  403  403  403  204  204", "limit"),
    Row("GET", "api-model-list",                     "401  403  200  200  403  200  200"),
    Row("POST", "api-model-list",                    "401  403  403  403  403  400  400"),
    Row("GET", "api-model-detail",                   "401  403  200  200  403  200  200", "model"),
    Row("PATCH", "api-model-detail",                 "401  403  403  403  403  200  200", "model"),
    Row("DELETE", "api-model-detail",                "401  403  403  403  403  204  204", "model"),
    Row("GET", "api-model-prices",                   "401  403  200  200  403  200  200", "model"),
    Row("POST", "api-model-prices",                  "401  403  403  403  403  201  201", "model"),
    Row("GET", "api-project-list",                   "401  200  200  200  200  200  200"),
    Row("POST", "api-project-list",                  "401  403  403  403  403  400  400"),
    Row("GET", "api-project-detail",                 "401  200  404  200  404  200  200", "project"),
    Row("PATCH", "api-project-detail",               "401  403  403  403  403  200  200", "project"),
    Row("DELETE", "api-project-detail",              "401  403  403  403  403  409  409", "project"),
    Row("GET", "api-saved-question-detail",          "401  200  200  200  200  200  200", "saved_question"),
    Row("DELETE", "api-saved-question-detail",       "401  403  204  403  403  204  204", "saved_question"),
    Row("GET", "api-usage-event-list",               "401  200  200  200  200  200  200"),
    Row("GET", "api-usage-event-detail",             "401  200  200  200  200  200  200", "event"),
    Row("GET", "api-usage-report",                   "401  200  200  200  200  200  200"),
    Row("GET", "api-weborigin-list",                 "401  403  403  200  403  200  200"),
    Row("POST", "api-weborigin-list",                "401  403  403  403  403  400  400"),
    Row("GET", "api-weborigin-detail",               "401  403  403  200  403  200  200", "origin"),
    Row("DELETE", "api-weborigin-detail",            "401  403  403  403  403  204  204", "origin"),
    Row("GET", "openapi",                            "401  200  200  200  200  200  200"),
    Row("GET", "api-docs",                           "401  200  200  200  200  200  200"),
]  # fmt: skip
ACCOUNT = [  # of allauth, on both kinds of host
    ("GET", "account_login", "200", "302"),
    ("GET", "account_logout", "302", "200"),
    ("GET", "account_inactive", "200", "200"),
    ("GET", "account_reauthenticate", "302", "200"),
    ("GET", "account_change_password", "302", "200"),
    ("GET", "account_set_password", "302", "302"),
    ("GET", "account_reset_password", "200", "200"),
    ("GET", "account_reset_password_done", "200", "200"),
    ("GET", "account_reset_password_from_key_done", "200", "200"),
    ("GET", "account_signup", "200", "302"),
    ("GET", "account_email", "302", "200"),
    ("POST", "set_language", "302", "302"),
    ("GET", "healthz-live", "200", "200"),
    ("GET", "healthz-ready", "200", "200"),
]
PAGES = [
    page("GET", "accounts:profile"),
    page("POST", "accounts:profile"),
    page("GET", "accounts:apikey-list"),
    page("POST", "accounts:apikey-create", "302 400 400 400 400 400 400"),
    page("POST", "accounts:apikey-revoke", "302 302 404 403 404 302 302", object="key", keyword="key_id"),
    page("GET", "usage:my-usage"),
    page("GET", "models_registry:model-list"),
    page(
        "GET",
        "models_registry:model-detail",
        "302 200 404 404 404 404 404",  # granted to a project
        object="model",
        keyword="model_id",
    ),
    page("GET", "rag:collection-list"),
    page("GET", "rag:collection-create"),
    page("POST", "rag:collection-create", "302 400 400 400 400 400 400"),
    *(
        page("GET", f"rag:{name}", object="collection", keyword="collection_id")
        for name in (
            "collection-detail",
            "collection-search",
            "collection-graph",
            "graph-export",
            "document-progress",
        )
    ),
    *(
        page("POST", f"rag:{name}", statuses, object="collection", keyword="collection_id")
        for name, statuses in (
            ("document-upload", "302 403 400 403 403 400 400"),
            ("document-text", "302 403 400 403 403 400 400"),
            ("document-address", "302 403 400 403 403 400 400"),
            ("document-action", "302 400 400 400 400 400 400"),
            ("collection-search", "302 400 400 400 400 400 400"),
            ("collection-evaluation", "302 200 200 200 200 200 200"),
            ("question-create", "302 403 400 403 403 400 400"),
            ("question-delete", "302 404 404 404 404 404 404"),
            ("collection-settings", "302 403 400 403 403 400 400"),
            ("collection-relations", "302 403 400 403 403 400 400"),
            ("collection-rebuild", "302 403 302 403 403 302 302"),
            ("collection-hand-over", "302 403 400 403 403 400 400"),
            ("collection-delete", "302 403 302 403 403 302 302"),
            ("collection-access", "302 403 403 400 403 400 400"),
        )
    ),
    *(
        page("GET", f"rag:{name}", statuses, object="collection", keyword="collection_id")
        for name, statuses in (
            ("collection-settings", "302 403 200 403 403 200 200"),
            ("collection-relations", "302 403 200 403 403 200 200"),
            ("collection-rebuild", "302 403 200 403 403 200 200"),
            ("collection-access", "302 403 403 200 403 200 200"),
        )
    ),
    *(
        page("GET", f"rag:{name}", statuses, object="document", keyword="document_id")
        for name, statuses in (
            ("document-detail", "302 200 200 200 200 200 200"),
            ("document-passages", "302 200 200 200 200 200 200"),
            ("document-file", "302 404 404 404 404 404 404"),  # its bytes are nowhere
        )
    ),
    page("POST", "rag:upload-create", "302 400 400 400 400 400 400"),
    *(
        page(method, f"rag:{name}", statuses, object="upload", keyword="upload_id")
        for method, name, statuses in (
            ("GET", "upload-detail", "302 200 404 404 404 404 404"),
            ("POST", "upload-part", "302 400 404 404 404 404 404"),
            ("POST", "upload-complete", "302 400 404 404 404 404 404"),
            ("POST", "upload-cancel", "302 204 404 404 404 404 404"),
        )
    ),
    page("GET", "rag:source-panel", "302 404 404 404 404 404 404"),  # of no document
    page("GET", "styleguide"),
    page("GET", "prompts:chat-home"),
    page("GET", "prompts:conversation-list"),
    page(
        "GET",
        "prompts:conversation-detail",
        "302 200 404 404 404 404 404",
        object="conversation",
        keyword="conversation_id",
    ),
    page(
        "POST",
        "prompts:conversation-rename",
        "302 400 404 404 404 404 404",
        object="conversation",
        keyword="conversation_id",
    ),
    page(
        "POST",
        "prompts:conversation-delete",
        "302 302 404 404 404 404 404",
        object="conversation",
        keyword="conversation_id",
    ),
    # the rest needs a running gateway: tests/prompts
    page("POST", "prompts:conversation-create", "302 - - - - - -"),
    page(
        "POST",
        "prompts:message-create",
        "302 - 404 404 404 404 404",
        object="conversation",
        keyword="conversation_id",
    ),
    page("POST", "prompts:message-stop", "302 - 404 404 404 404 404", object="answer", keyword="message_id"),
    page("POST", "prompts:message-edit", "302 - 404 404 404 404 404", object="answer", keyword="message_id"),
    page(
        "POST",
        "prompts:message-regenerate",
        "302 - 404 404 404 404 404",
        object="answer",
        keyword="message_id",
    ),
    page(
        "POST", "prompts:message-continue", "302 - 404 404 404 404 404", object="answer", keyword="message_id"
    ),
    page(
        "GET",
        "prompts:message-markdown",
        "302 200 404 404 404 404 404",
        object="answer",
        keyword="message_id",
    ),
    page("GET", "prompts:diagram-frame"),
    # a stream: tests/prompts
    page("GET", "prompts:message-events", "- - - - - - -", object="answer", keyword="message_id"),
]
SITE = {  # of both administrations: who may enter gets the first status, who may not the second
    "index": ("200", "403"),
    "login": ("302", "403"),
    "password_change": ("302", "403"),
    "password_change_done": ("302", "403"),
    "jsi18n": ("200", "403"),
    "search": ("200", "403"),
}
# Lists of the administrations: object of the estate, and who may view, add, change and delete; then the
# actions of an object, with who may use them.
EVERYONE = "ai_developer auditor billing admin owner"
ADMINS = "admin owner"
SERVICE = {
    "accounts_user": (
        "user",
        f"auditor {ADMINS}",
        ADMINS,
        ADMINS,
        "",
        {"deactivate": ADMINS, "reactivate": ADMINS, "invite": ADMINS},
    ),
    "accounts_project": ("project", f"auditor {ADMINS}", ADMINS, ADMINS, ADMINS, {}),
    "accounts_apikey": ("key", f"auditor {ADMINS}", ADMINS, ADMINS, "", {"revoke": ADMINS}),
    "accounts_grant": ("right", f"auditor {ADMINS}", ADMINS, ADMINS, ADMINS, {}),
    "accounts_limit": ("limit", f"auditor {ADMINS}", ADMINS, ADMINS, ADMINS, {}),
    "local_weborigin": ("origin", f"auditor {ADMINS}", ADMINS, "", ADMINS, {}),
    "local_work": ("work", f"auditor {ADMINS}", "", "", "", {"cancel": ADMINS, "retry": ADMINS}),
    "auth_group": ("role", f"auditor {ADMINS}", ADMINS, ADMINS, ADMINS, {}),
    "auditlog_logentry": ("entry", f"auditor {ADMINS}", "", "", "", {}),
    "models_registry_connection": (
        "connection",
        f"ai_developer auditor {ADMINS}",
        ADMINS,
        ADMINS,
        ADMINS,
        {"test": ADMINS, "sync": ADMINS},
    ),
    "models_registry_model": (
        "model",
        f"ai_developer auditor {ADMINS}",
        ADMINS,
        ADMINS,
        ADMINS,
        {"take_price": ADMINS, "make_free": ADMINS},
    ),
    "prompts_conversation": ("conversation", f"ai_developer auditor {ADMINS}", "", "", "", {}),
    "rag_collection": (
        "collection",
        f"ai_developer auditor {ADMINS}",
        "",
        "",
        f"ai_developer {ADMINS}",
        {"rebuild": f"ai_developer {ADMINS}"},
    ),
    "rag_ragflowaccount": (
        "ragflow",
        f"ai_developer auditor {ADMINS}",
        f"ai_developer {ADMINS}",
        f"ai_developer {ADMINS}",
        f"ai_developer {ADMINS}",
        {"test": f"ai_developer {ADMINS}"},
    ),
    "rag_document": (
        "document",
        f"ai_developer auditor {ADMINS}",
        "",
        "",
        f"ai_developer {ADMINS}",
        {"read_again": f"ai_developer {ADMINS}", "stop": f"ai_developer {ADMINS}"},
    ),
    "files_file": ("file", f"auditor {ADMINS}", "", "", "", {}),
    "usage_usageevent": ("event", EVERYONE, "", "", "", {"refund": f"billing {ADMINS}"}),
    "usage_budget": ("budget", EVERYONE, f"billing {ADMINS}", f"billing {ADMINS}", f"billing {ADMINS}", {}),
}
SYSTEM = {
    "accounts_user": (
        "operator",
        "operator",
        "operator",
        "operator",
        "",
        {"deactivate": "operator", "reactivate": "operator", "invite": "operator"},
    ),
    "auditlog_logentry": ("entry", "operator", "", "", "", {}),
    "local_work": ("work", "operator", "", "", "", {"cancel": "operator", "retry": "operator"}),
    "registry_platform_connection": (
        "connection",
        "operator",
        "operator",
        "operator",
        "operator",
        {"test": "operator", "sync": "operator"},
    ),
    "registry_platform_model": (
        "model",
        "operator",
        "operator",
        "operator",
        "operator",
        {"take_price": "operator", "make_free": "operator"},
    ),
    "tenants_tenant": (
        "tenant",
        "operator",
        "operator",
        "operator",
        "",
        {"suspend": "operator", "resume": "operator", "retry": "operator"},
    ),
    "tenants_domain": ("domain", "operator", "operator", "", "operator", {"make_primary": "operator"}),
    "tenants_plan": ("plan", "operator", "operator", "operator", "", {}),
    "usage_platform_tenantsum": ("day", "operator", "", "", "", {}),
}
# lists whose lines lead nowhere: 404 or 403 for everyone
WITHOUT_PAGE = {"prompts_conversation", "files_file", "usage_platform_tenantsum"}


def admin_rows(site: str, table: dict, roles: tuple[str, ...]) -> Iterator[Row]:
    """The rows of one administration's lists, forms, histories and actions."""
    for name, (item, view, add, change, delete, actions) in table.items():
        route, keyword = f"{site}:{name}", "object_id"
        has_page = name not in WITHOUT_PAGE
        yield Row("GET", f"{route}_changelist", _for(roles, view))
        yield Row("POST", f"{route}_changelist", _for(roles, view))
        yield Row("GET", f"{route}_add", _for(roles, add))
        yield Row("POST", f"{route}_add", _for(roles, add))
        yield Row(
            "GET",
            f"{route}_change",
            _for(roles, view if has_page else "", "200", _hidden(name)),
            item,
            keyword,
        )
        yield Row(
            "POST",
            f"{route}_change",
            _for(roles, change if has_page else "", "200", _hidden(name)),
            item,
            keyword,
        )
        yield Row("GET", f"{route}_delete", _for(roles, delete), item, keyword)
        yield Row(
            "GET",
            f"{route}_history",
            _for(roles, view if has_page else "", "200", _hidden(name)),
            item,
            keyword,
        )
        for action, allowed in actions.items():
            yield Row("GET", f"{route}_{action}", _for(roles, allowed), item, keyword)


def _hidden(name: str) -> str:
    return "404" if name in ("prompts_conversation", "files_file") else "403"


def _for(roles: tuple[str, ...], allowed: str, granted: str = "200", refused: str = "403") -> str:
    statuses = {role: granted if role in allowed.split() else refused for role in roles} | {
        "anonymous": "302"
    }
    if "user" in statuses:
        statuses["user"] = "403"  # may not enter at all
    return " ".join(statuses[role] for role in roles)


def site_rows(site: str, roles: tuple[str, ...]) -> Iterator[Row]:
    outsiders = {"anonymous", "user"}
    for name, (granted, refused) in SITE.items():
        yield Row(
            "GET",
            f"{site}:{name}",
            " ".join(
                "302" if role == "anonymous" else refused if role in outsiders else granted for role in roles
            ),
        )
    # without a field it is nobody's
    yield Row(
        "GET", f"{site}:autocomplete", " ".join("302" if role == "anonymous" else "403" for role in roles)
    )
    yield Row("POST", f"{site}:logout", " ".join("403" if role == "user" else "302" for role in roles))


def account_rows(roles: tuple[str, ...]) -> Iterator[Row]:
    for method, name, anonymous, known in ACCOUNT:
        yield Row(method, name, " ".join(anonymous if role == "anonymous" else known for role in roles))


TENANT_ROWS = [
    *API,
    *PAGES,
    *account_rows(ROLES),
    *site_rows("service", ROLES),
    *admin_rows("service", SERVICE, ROLES),
    Row("GET", "service:accounts_grant_reach", _for(ROLES, f"auditor {ADMINS}")),
]
PLATFORM_ROWS = [
    Row("GET", "platform-home", "200 200"),
    Row("GET", "accounts:profile", "302 200"),
    *account_rows(OPERATORS),
    *site_rows("system", OPERATORS),
    *admin_rows("system", SYSTEM, OPERATORS),
]
# Routes whose argument is a word rather than an object; they only lead on.
ELSEWHERE = {"account_reset_password_from_key", "service:app_list", "system:app_list"}
