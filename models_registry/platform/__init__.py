"""The platform's own connections, models and prices: shared tables, offered to tenants by plan.

Written by the services of `models_registry` inside `with platform():`, read through
`models_registry.selectors`.
"""
