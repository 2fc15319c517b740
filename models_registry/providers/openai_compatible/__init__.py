"""A server that speaks OpenAI's API, and what every kind does unless it says otherwise."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from models_registry.kinds import Location
from models_registry.providers.openai_compatible.catalogue import (
    Catalogue,
    ListedModel,
    find_next_page,
    read_catalogue,
)
from models_registry.providers.openai_compatible.errors import ProviderError, read_error
from models_registry.providers.openai_compatible.usage import read_usage
from tenants.sealing import Secret
from usage.pricing import Usage

EMBEDDINGS, CHAT_COMPLETIONS, RERANK = "embeddings", "chat.completions", "rerank"
COMPLETIONS = "completions"  # of texts, OpenAI's first
COUNT_TOKENS = "messages.count_tokens"  # how many a request has, where a provider tells it

ALL_FORMATS = frozenset({"json_object", "json_schema"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a server of a kind may take, in seconds. `first_byte`: until a stream begins, and until its
    first piece of text; `idle`: between two pieces; `total`: for the whole answer.

    Signs of life before the first piece (comments, who speaks) begin `first_byte` anew, unless another
    candidate waits. While one does, an attempt has no more than half of the time that its call has left, an
    answer in one piece half of what a client waits (`Call.turn_left_s`).
    """

    connect: float = 5.0
    first_byte: float = 120.0
    idle: float = 30.0
    total: float = 1_800.0


def messages_without(messages: Iterable[dict[str, Any]], names: Set[str]) -> list[dict[str, Any]]:
    """Messages without these fields, for providers that refuse them."""
    return [{name: value for name, value in one.items() if name not in names} for one in messages]


REMOTE = Timeouts()
# A model of one's own machine may have to be loaded first, and reads a long prompt for minutes.
LOCAL = Timeouts(connect=5.0, first_byte=600.0, idle=120.0, total=3_600.0)


class OpenAICompatible:
    """Stateless: one object per kind serves all connections of it."""

    kind = "openai_compatible"
    label: str | Promise = _("other server that speaks OpenAI's API")
    base_url = ""
    usual_path = "/v1"  # of a base address that has none
    location = Location.UNKNOWN
    key_variable = ""  # where the provider's own tools look for the key
    is_found_locally = False  # looked for at `base_url` at each start
    timeouts = REMOTE
    # below the base address, by operation; what is missing it does not serve
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/chat/completions",
        EMBEDDINGS: "/embeddings",
        RERANK: "/rerank",
        COMPLETIONS: "/completions",
    }
    catalogue_path = "/models"
    token_limit_name = "max_tokens"  # noqa: S105  (tokens of text)
    # It keeps what it computed of a prompt for the next one that begins alike, apart for each `cache_salt`.
    knows_cache_salt = False
    # Requests that begin alike are sent where its cache holds their beginning, by this name of the caller's.
    knows_prompt_cache_key = False
    # It keeps answers for whoever reads its account's dashboard, unless it is told not to.
    stores_answers = False
    # It sends vectors in base64 where that is asked for. Official clients always ask, and other servers fail
    # at it with a refusal, an error of their own or an empty list: numbers are what all of them send.
    packs_vectors = False
    # A text to embed may come as an array of tokens.
    takes_tokens = True
    # Of texts to embed in one request; 0: as many as we take. More go out in several requests.
    most_texts = 0
    # What it calls texts to embed by what they are for (`input_type`); empty: it does not ask.
    purposes: Mapping[str, str] = {}
    # Its models' tokens are never those of OpenAI's, which clients send: they count only where a caller says
    # that it made them for this model.
    has_other_tokens = False
    # It knows the role `developer`, which others refuse; all know `system`.
    knows_developer = False
    # A message of the assistant's in last place is gone on with, not answered.
    continues_answers = False
    # It writes several answers to one call (`n`). Others refuse that, or give one without a word.
    gives_several_answers = True
    # Forms of an answer (`response_format`) that it holds all of its models to.
    kept_formats: frozenset[str] = frozenset({"json_object"})
    # A schema that is to be kept to the letter (`strict`) is, for certain.
    vouches_for_strict = False
    # Its events are no chunks of OpenAI's shape: each is read by `read_event`.
    has_own_events = False
    # The member of these that is a piece of text: one that differs from the last in nothing else passes
    # unread, as OpenAI's do (`bare_event`). Empty: none does.
    text_key = b""
    # It knows `top_k`, which is none of OpenAI's fields; others refuse what they do not know.
    takes_top_k = True
    # It takes back what it thought, signed by it, and marks of what its cache is to keep: fields of messages
    # that others refuse or know nothing of (gateway.operations.messages).
    takes_blocks = False
    # It wants back what it thought before it called tools, as text (`reasoning_content`).
    wants_thoughts = False
    # Of documents to rank it reads as many tokens as a caller says (`max_tokens_per_doc`); others read all.
    cuts_documents = False
    # Fields of a chat request that change what the answer is, and that it does not know: a call that asks for
    # one does not go there. (`n`: see above.)
    refused_fields: frozenset[str] = frozenset()

    def auth_headers(self, secret: Secret | None) -> dict[str, str]:
        """The headers that carry the key."""
        return {"Authorization": f"Bearer {secret.reveal()}"} if secret else {}

    def operation_url(self, base_url: str, operation: str, model: str) -> str:
        """Where it is asked for an operation of `paths`. `model`: the name that it knows."""
        return f"{base_url}{self.paths[operation]}"

    def catalogue_url(self, base_url: str) -> str:
        """Where its models are listed."""
        return f"{base_url}{self.catalogue_path}"

    def health_url(self, base_url: str) -> str:
        """What it answers, without an error of its own, once it can be called again."""
        return self.catalogue_url(base_url)

    def details_url(self, base_url: str) -> str:
        """Where a server of one model says more of it than its list; "" where none does."""
        return ""

    def catalogue_headers(self, secret: Secret | None) -> dict[str, str]:
        """Those of a question for the catalogue."""
        return self.auth_headers(secret)

    def find_next_page(self, body: Any) -> str:
        """The query of the page of the catalogue that follows on an answer; "" where it was the last one."""
        return find_next_page(body)

    def tenant_headers(self, tenant: str) -> dict[str, str]:
        """What the server is told of who asks: nothing, unless it belongs to the house."""
        return {}

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """The request as this provider wants it; `body` is OpenAI's, and is left as it is. Raises
        InvalidInput for what the provider cannot be asked.
        """
        return body

    def find_dropped(self, body: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
        """The fields of a chat request that were wishes, and that `write_body` has left out or that go
        unheeded: the caller is told.
        """
        return []

    def keeps_form(self, wanted: Mapping[str, Any], model: str, capabilities: Set[str]) -> bool:
        """Whether it holds this model to this form of an answer (`response_format`); else the model is asked
        in words, and checked by us (gateway.operations.chat_completions.form). One that has the word of a
        form among its capabilities keeps it behind any server.
        """
        kind = wanted["type"]
        return kind in self.kept_formats or not capabilities.isdisjoint({kind, "json_schema"})

    def vouches_for(self, wanted: Mapping[str, Any]) -> bool:
        """Whether what it keeps of this form is kept for certain. All others say that they keep a schema, and
        answer beside it at times: their answers are checked, too.
        """
        if wanted["type"] != "json_schema":
            return True
        named = wanted.get("json_schema")
        return self.vouches_for_strict and isinstance(named, dict) and named.get("strict") is True

    def bare_event(self, chunk: bytes) -> bytes:
        """An event's bytes without what differs from one to the next and says nothing."""
        return chunk

    def read_event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event of a stream, or a whole answer of any operation, in OpenAI's shape with its usage and its
        error; empty for one that says nothing. Raises ValueError, KeyError, IndexError, TypeError or
        AttributeError for what makes no sense.
        """
        return event

    def read_usage(self, answer: dict[str, Any]) -> Usage | None:
        """The tokens that an answer or event in OpenAI's shape reports, wherever they stand; None without a
        credible report.
        """
        return read_usage(answer)

    def read_error(self, raw: bytes) -> ProviderError:
        """What an error's body says."""
        return read_error(raw)

    def read_catalogue(self, body: Any) -> Catalogue:
        """The models in an answer from `catalogue_path`. Raises UpstreamError."""
        return read_catalogue(body)

    def read_details(self, model: ListedModel, body: Any) -> ListedModel:
        """The model with what an answer from `details_url` says of it."""
        return model

    def is_listed_by(self, body: Any) -> bool:
        """Whether a list of models, found at the usual address, is one of a server of this kind."""
        return isinstance(body, dict) or (isinstance(body, list) and bool(body))
