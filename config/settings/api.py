"""`/api/v1` (Django REST framework): problem details, cursor paging, an OpenAPI document."""

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest.permissions.ByAction"],  # forbids what a view does not name
    "DEFAULT_PAGINATION_CLASS": "config.api.CursorPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "config.openapi.AtriumSchema",
    "EXCEPTION_HANDLER": "config.api.problem_details",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Atrium management API",
    "DESCRIPTION": (
        "Manage one tenant: conversations, collections of documents, API keys, connections, models, budgets "
        "and usage. Log in with an API key (`Authorization: Bearer atr_…`, scope `read`, for changes "
        "`manage`) or with the session of the pages. Lists are paged by cursor. Errors are problem details "
        "(RFC 9457). Unknown fields and parameters are refused."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "persistAuthorization": False,
        "displayOperationId": False,
        "defaultModelsExpandDepth": -1,
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.openapi.add_problem"],
    "COMPONENT_SPLIT_REQUEST": True,
    "AUTHENTICATION_WHITELIST": [],
    "ENUM_NAME_OVERRIDES": {
        "AccessKind": ["session", "api_key"],
        "ApiKeyScope": "accounts.models.ApiKey.Scope",
        "BudgetLevel": "usage.models.Budget.Level",
        "CollectionLanguage": "rag.models.Language",
        "CollectionVisibility": "rag.api.shapes.VISIBILITIES",
        "ConnectionKind": "models_registry.providers.table.kind_choices",
        "DataPolicy": "tenants.data_policy.DataPolicy",
        "DocumentSource": "rag.models.Document.Source",
        "DocumentState": "rag.models.Document.State",
        "LimitLevel": "accounts.models.Limit.Level",
        "MessageStatus": "prompts.models.Message.Status",
        "MessagePartKind": "prompts.models.Part.Kind",
        "ModelKind": "models_registry.kinds.ModelKind",
        "SearchLeg": "rag.api.bodies.LEGS",
        "UsageEventKind": "usage.models.UsageEvent.Kind",
        "UsageEventStatus": "usage.models.UsageEvent.Status",
    },
}
