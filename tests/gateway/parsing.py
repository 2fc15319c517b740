"""A chat completion's body, parsed."""

from uuid import uuid4

import orjson

from foundation.ids import uuid7
from gateway.calls import Principal
from gateway.operations.chat_completions import OPERATION

PRINCIPAL = Principal("acme", uuid4(), uuid4())
GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def parse(**changes):
    body = {name: value for name, value in (GOOD | changes).items() if value != "DROP"}
    return OPERATION.parse(orjson.dumps(body), PRINCIPAL, uuid7())
