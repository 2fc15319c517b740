"""OpenAI's models at Microsoft Azure, where a model's name is that of its deployment.

A base address that ends in `/openai/v1` is Azure's newer API, which speaks as OpenAI does. Any other is the
older one: the deployment stands in the path, perhaps in the base address already, and each request names a
version.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from models_registry.providers.openai_compatible import (
    ALL_FORMATS,
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    OpenAICompatible,
)
from models_registry.providers.openai_compatible.catalogue import Catalogue, read_catalogue
from tenants.sealing import Secret

VERSION = "api-version=2024-10-21"  # the last dated one that is no preview
DEPLOYMENTS = "/deployments"


class Azure(OpenAICompatible):
    """Its key has a header of its own. Where a resource computes is the word of whoever enters it."""

    kind = "azure"
    label = "Azure OpenAI"
    usual_path = "/openai/v1"
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/chat/completions",
        COMPLETIONS: "/completions",
        EMBEDDINGS: "/embeddings",
    }
    token_limit_name = "max_completion_tokens"  # noqa: S105
    packs_vectors = True
    kept_formats = ALL_FORMATS
    vouches_for_strict = True

    def auth_headers(self, secret: Secret | None) -> dict[str, str]:
        return {"api-key": secret.reveal()} if secret else {}

    def operation_url(self, base_url: str, operation: str, model: str) -> str:
        if _is_newer(base_url):
            return super().operation_url(base_url, operation, model)
        root, _, deployment = base_url.partition(DEPLOYMENTS)
        name = deployment.strip("/") or quote(model, safe="")
        return f"{root}{DEPLOYMENTS}/{name}{self.paths[operation]}?{VERSION}"

    def catalogue_url(self, base_url: str) -> str:
        if _is_newer(base_url):
            return super().catalogue_url(base_url)
        return f"{base_url.partition(DEPLOYMENTS)[0]}{self.catalogue_path}?{VERSION}"

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Notes are taken only beside answers that it is to store."""
        return {name: value for name, value in body.items() if name != "metadata"}

    def read_catalogue(self, body: Any) -> Catalogue:
        """It lists what may be deployed, not what is. So nothing is offered: an operator names the
        deployments, and what they named stays.
        """
        found = read_catalogue(body)
        return replace(found, models=[], skipped=found.skipped + len(found.models), is_whole=False)


def _is_newer(base_url: str) -> bool:
    return base_url.endswith("/v1")
