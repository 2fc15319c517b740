"""The programs that the catalogue shows, as somebody copies them."""

import json
import shlex

import pytest

from models_registry.examples import list_examples
from models_registry.kinds import ADDRESSES
from tests.gateway.calling import make_endpoint, make_route
from tests.gateway.living import ONE

pytestmark = pytest.mark.scope(None)
NAMES = {"chat": "mock", "embedding": "mock-embedding", "rerank": "mock-rerank"}


def examples_of(house, kind: str) -> dict[str, str]:
    route = make_route([make_endpoint("http://nowhere/v1")], kind=kind, name=NAMES[kind])
    return {one.title: one.code for one in list_examples(route, house.base_url)}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_what_curl_sends_is_answered(house, kind):
    line = examples_of(house, kind)["curl"].replace("\\\n", "")
    _curl, address, *headers, _data, body = shlex.split(line)
    assert headers[1] == "Authorization: Bearer $ATRIUM_API_KEY"
    answer = house.post(json.loads(body), path=address.removeprefix(f"{house.base_url}/"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("kind", "said"), [("chat", "w0 w1 w2"), ("embedding", "[")])
def test_what_python_asks_is_answered(house, kind, said, monkeypatch, capsys):
    monkeypatch.setenv("ATRIUM_API_KEY", house.keys[ONE])
    exec(examples_of(house, kind)["Python"], {})
    assert capsys.readouterr().out.startswith(said)
