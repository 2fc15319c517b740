"""How many queries each list of `/api/v1` may take, at most. Measured; one that needs more must say why."""

LISTS: dict[str, int] = {
    "api-apikey-list": 8,
    "api-budget-list": 7,
    "api-collection-list": 10,
    "api-connection-list": 7,
    "api-conversation-list": 7,
    "api-grant-list": 7,
    "api-limit-list": 7,
    "api-model-list": 8,
    "api-project-list": 7,
    "api-usage-event-list": 7,
    "api-weborigin-list": 7,
}
