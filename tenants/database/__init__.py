"""Schemas, roles, routing and the statements that set them up."""
