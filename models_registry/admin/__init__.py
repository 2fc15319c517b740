"""Connections and models in both administrations; what they share stands in `connections` and `models`."""

from models_registry.admin import service, system  # noqa: F401  (each registers itself)
