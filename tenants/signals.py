"""Signals by which this room tells those above what has happened. They announce the past: a receiver neither
returns anything nor prevents it. What this room must ask stands in `tenants.provisioning.people` and
`tenants.doors.key_door`.
"""

from django.dispatch import Signal

tenant_provisioned = Signal()  # slug: sent inside the new tenant's scope, in the transaction that made it
# slug: its schema is brought up to date; sent inside its scope, in a transaction; receivers may be called
# again
tenant_migrated = Signal()
# slug, plan: the tenant's plan has other limits or a tenant has another plan; sent outside any scope
plan_changed = Signal()
# sent inside the platform's scope and outside a transaction, at each start: rooms bring their shared rows up
# to date
platform_prepared = Signal()
