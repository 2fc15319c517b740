"""Who may call the runtime, and which models it shows to whom."""

import fcntl
import os

import httpx
import pytest
from openai import NotFoundError

from tests.runtimes import first_models
from tests.runtimes.conftest import PATIENCE_S, TOKEN, wait_until

HALLO = [{"role": "user", "content": "Hallo"}]
ADDRESSES = [("get", "/v1/models"), ("get", "/v1/models/private"), ("post", "/v1/chat/completions"),
             ("post", "/v1/embeddings"), ("get", "/nowhere")]  # fmt: skip


def ask(server, method, path, token=TOKEN, tenant=None, **options) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if tenant is not None:
        headers["X-Atrium-Tenant"] = tenant
    return httpx.request(method, f"{server.url}{path}", headers=headers, timeout=60, **options)


def listed(server, **who) -> set[str]:
    return {model["id"] for model in ask(server, "get", "/v1/models", **who).json()["data"]}


def told(server, **who) -> set[str]:
    """Models that /health speaks of."""
    health = ask(server, "get", "/health", **who).json()
    return {model["id"] for model in [*health["models"], *health["preparing"]]}


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1], "ü", "\udcfc"])
def test_without_the_token_nothing_is_answered(kinds_server, method, path, token):
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode("utf-8", "surrogateescape")}
    response = httpx.request(method, f"{kinds_server.url}{path}", headers=headers, timeout=60)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (
        401,
        "invalid_api_key",
        "invalid_request_error",
    )


def test_health_is_for_everybody_but_tells_strangers_only_what_all_may_see(kinds_server):
    for who in ({"token": None}, {"token": "wrong", "tenant": "acme"}, {}, {"tenant": "globex"}):
        assert "private" not in told(kinds_server, **who), who
        assert "broken" in told(kinds_server, **who)
    assert "private" in told(kinds_server, tenant="acme")


def test_a_model_of_one_tenant_is_listed_and_called_for_that_one_alone(kinds_server):
    body = {"model": "private", "messages": HALLO, "max_tokens": 3}
    for tenant in (None, "", "globex", "acm", "acme,globex"):
        assert "private" not in listed(kinds_server, tenant=tenant)
        assert ask(kinds_server, "get", "/v1/models/private", tenant=tenant).status_code == 404
        refusal = ask(kinds_server, "post", "/v1/chat/completions", tenant=tenant, json=body)
        assert (refusal.status_code, refusal.json()["error"]["code"]) == (404, "model_not_found")
    assert "private" in listed(kinds_server, tenant="acme")
    answer = ask(kinds_server, "post", "/v1/chat/completions", tenant="acme", json=body)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"]


def test_a_folder_that_does_not_say_who_may_see_it_is_shown_to_nobody(kinds_server):
    for tenant in (None, "acme", "platform"):
        assert "silent" not in listed(kinds_server, tenant=tenant) | told(kinds_server, tenant=tenant)
    with pytest.raises(NotFoundError):
        kinds_server.openai.chat.completions.create(model="silent", messages=HALLO)


def test_what_is_being_made_is_told_and_what_cannot_be_made_says_why(kinds_server):
    def making() -> dict[str, dict]:
        return {one["id"]: one for one in kinds_server.health()["preparing"]}

    assert set(making()) <= {"small", "broken"}  # what was not fetched is not there at all
    wait_until(lambda: set(making()) == {"broken"}, 100, "the model is not made")
    assert making()["broken"] == {
        "id": "broken",
        "display_name": "Broken",
        "kind": "embedding",
        "state": "failed",
        "reason": "broken.e5s1 has another sha256 than the recipe says.",
    }
    assert "small" in listed(kinds_server) and "broken" not in listed(kinds_server)


def test_without_a_token_it_answers_everybody_who_reaches_it(start_server, models):
    with start_server("--models", str(models)) as server:
        assert listed(server, token=None) == {"atrium-tiny"}


def test_it_answers_while_it_makes_a_model_and_takes_the_conversion_along(start_server, models, tmp_path):
    """The file is a terabyte of nothing, so that reading it takes longer than this test."""
    sources, made, lock = tmp_path / "sources", tmp_path / "made", tmp_path / "made" / ".lock"
    sources.mkdir()
    (sources / "endless.e5s1").touch()
    first_models.write_recipe(tmp_path / "recipes" / "endless", sources / "endless.e5s1")
    os.truncate(sources / "endless.e5s1", 1 << 40)

    def is_locked() -> bool:
        if not lock.exists():
            return False
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    folders = ("--models", str(models), "--sources", str(sources), "--make-in", str(made))
    with start_server(*folders, "--recipes", str(tmp_path / "recipes")) as server:
        wait_until(is_locked, PATIENCE_S, "the conversion does not begin")
        assert [one["state"] for one in server.health()["preparing"]] == ["preparing"]
        assert server.answer("Hallo").startswith("Hallo!")
        assert is_locked()
        server.process.terminate()
        assert server.process.wait(timeout=PATIENCE_S) == 0
        wait_until(lambda: not is_locked(), PATIENCE_S, "the conversion goes on alone")
