"""The model hub: ways to providers (Connection), what users name in `model=` (Model), and what it costs
(ModelPrice).

A tenant's own live in its schema, the platform's twins in `models_registry.platform`; services and selectors
work on the active scope's. The gateway reads `selectors.list_routes`, pages and commands call `services`.
"""
