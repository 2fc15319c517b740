"""How many queries each list of the administrations may take, at most. Measured; one that needs more must say
why.
"""

CHANGELISTS: dict[str, int] = {
    # eight cards: figures of two days, hours, days, models, budgets, overruns, errors, connections; what the
    # models are called
    "service:index": 29,
    "service:accounts_user": 11,
    "service:accounts_project": 11,
    "service:accounts_apikey": 12,  # who or what made each: the log, and other keys
    "service:accounts_grant": 20,
    "service:accounts_limit": 20,
    "service:local_weborigin": 9,
    "service:local_work": 11,
    "service:auth_group": 11,
    "service:auditlog_logentry": 10,
    "service:models_registry_connection": 9,
    "service:models_registry_model": 18,  # the platform's models that are offered, or hidden, stand below
    "service:prompts_conversation": 11,
    "service:rag_collection": 14,
    "service:rag_ragflowaccount": 9,
    "service:rag_document": 13,  # how far each is: the newest work, passages, vectors
    "service:files_file": 11,
    "service:usage_usageevent": 19,  # what models are called, in its filter and its rows
    "service:usage_budget": 10,
    "system:index": 14,
    "system:accounts_user": 8,
    "system:auditlog_logentry": 9,
    "system:local_work": 8,
    "system:registry_platform_connection": 8,
    "system:registry_platform_model": 10,
    "system:tenants_tenant": 12,
    "system:tenants_domain": 8,
    "system:tenants_plan": 9,
    "system:usage_platform_tenantsum": 11,
}
