"""Signals by which the lowest room tells the rooms above that a tenant came to be."""

from django.dispatch import Signal

tenant_provisioned = Signal()  # slug: sent inside the new tenant's scope, in the transaction that made it
# slug (None: the platform), known: set of first names, people: dict to fill; sent inside that scope, in a
# transaction
demo_requested = Signal()
# slug: its schema is brought up to date; sent inside its scope, in a transaction; receivers may be called
# again
tenant_migrated = Signal()
tenant_changed = Signal()  # slug: name, plan, status or domains have changed
# slug, email, password (None: set by "forgotten password"): a new tenant wants its first person
owner_requested = Signal()
# slug, plan: the tenant's plan has other limits or a tenant has another plan; sent outside any scope
plan_changed = Signal()
# sent inside the platform's scope at each start: rooms bring their shared rows up to date
platform_prepared = Signal()
# key, amount: a new key is to have a monthly budget; sent inside its tenant's transaction
key_budget_requested = Signal()
# within: this key asks for another one; receivers raise NotAllowed if what binds it would not bind that
key_asked_by_key = Signal()
# text: is this a good API key of the active tenant? Receivers answer; sent inside its scope, whatever state
# its door is in
key_shown = Signal()
