"""Names that follow from a tenant's slug: its schema, its database role, and which slugs are free to take."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

TEMPLATE_SCHEMA = "tenant_template"
SLUG_PATTERN = re.compile(r"[a-z][a-z0-9-]{1,30}")
RESERVED_SLUGS = frozenset(
    {
        "public",
        "platform",
        "owner",
        "app",
        "template",
        "tenant-template",
        "information-schema",
        "postgres",
        "localhost",
        "www",
        "api",
        "admin",
        "static",
        "media",
        "mail",
        "login",
        "auth",
        "sso",
        "status",
        "health",
        "metrics",
        "docs",
        "help",
        "support",
        "billing",
        "internal",
        "system",
        "root",
        "atrium",
    }
)


def is_slug(text: str) -> bool:
    """Whether the text has the form of a slug; says nothing of whether a tenant has it."""
    return SLUG_PATTERN.fullmatch(text) is not None


def validate_slug(value: str) -> None:
    """Raise ValidationError unless a new tenant may be called so."""
    if not is_slug(value) or value.endswith("-") or value.startswith("pg-"):
        raise ValidationError(
            _(
                "A slug has 2 to 31 lower-case letters, digits and hyphens, starts with a letter and does "
                "not end with a hyphen."
            ),
            code="invalid_slug",
        )
    if value in RESERVED_SLUGS:
        raise ValidationError(
            _("“%(slug)s” is reserved. Choose another slug."), code="reserved_slug", params={"slug": value}
        )


def schema_name(slug: str) -> str:
    """The PostgreSQL schema of a tenant. Reversible, since slugs hold no underscore."""
    return slug.replace("-", "_")


def slug_of_schema(schema: str) -> str:
    return schema.replace("_", "-")


def role_name(database: str, schema: str) -> str:
    """The PostgreSQL role that may touch one schema. Roles are cluster-wide, hence the database's name in
    front.
    """
    return f"{database}_{schema}"
