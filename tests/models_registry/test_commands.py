"""`manage.py connection` and `manage.py model`, as people and scripts call them."""

import json

import pytest
from django.core.management.base import CommandError

from models_registry.models import Connection, Model
from models_registry.platform.models import Connection as PlatformConnection
from models_registry.selectors import list_routes
from tenants.context import platform
from tests.conftest import manage

pytestmark = pytest.mark.django_db


def run(*arguments: str, as_json: bool = False):
    return json.loads(manage(*arguments, "--json")) if as_json else manage(*arguments)


ADD = ("connection", "add", "--name", "vLLM", "--kind", "vllm")


def test_another_name_that_hides_a_model_of_the_platform_is_refused():
    run(*ADD, "--base-url", "http://127.0.0.1:8009/v1", "--platform")
    run("model", "set", "gpt-4o", "--connection", "vLLM", "--platform")
    run(*ADD, "--base-url", "https://own.example.com/v1", "--tenant", "acme")
    with pytest.raises(CommandError, match="“gpt-4o” is a model of the platform"):
        run("model", "set", "own", "--connection", "vLLM", "--alias", "gpt-4o", "--tenant", "acme")


def test_a_connection_is_added_listed_tested_synced_and_removed(provider, monkeypatch):
    monkeypatch.setenv("PROVIDER_KEY", "sk-canary-from-env")
    here = ("--tenant", "acme")
    added = run(
        *ADD,
        "--base-url",
        provider.base_url,
        "--api-key-env",
        "PROVIDER_KEY",
        "--allow-private",
        "--sync",
        "--location",
        "eu",
        *here,
        as_json=True,
    )
    assert (added["name"], added["has_key"], added["location"], sorted(added["models"])) == (
        "vLLM",
        True,
        "eu",
        ["large", "small"],
    )
    assert provider.seen[0]["authorization"] == "Bearer sk-canary-from-env"
    [listed] = run("connection", "list", *here, as_json=True)
    assert (
        listed["base_url"] == provider.base_url
        and listed["enabled"] is True
        and "canary" not in json.dumps(listed)
    )
    assert run("connection", "test", "vLLM", *here, as_json=True)["model_count"] == 2
    provider.listed = ["small", "new"]
    report = run("connection", "sync", "vLLM", *here, as_json=True)
    assert (report["added"], report["vanished"], report["kept"]) == (["new"], ["large"], 1)
    assert "2 models" in run("connection", "test", "vLLM", *here)
    with pytest.raises(CommandError, match="3 models use"):
        run("connection", "remove", "vLLM", *here)
    run("connection", "remove", "vLLM", "--force", *here)
    assert not Connection.objects.exists()


def test_a_connection_of_the_platform_reads_its_key_from_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("sk-from-file\n")
    run(
        "connection", "add", "--name", "OpenAI", "--kind", "openai", "--api-key-file", str(file), "--platform"
    )
    assert not Connection.objects.exists()
    with platform():
        assert PlatformConnection.objects.get().open_secret().reveal() == "sk-from-file"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--base-url", "http://10.0.0.1", "--tenant", "acme"), "allow-private"),
        (("--base-url", "ftp://a.example", "--tenant", "acme"), "ftp"),
        (("--base-url", "https://a.example", "--tenant", "nobody"), "no tenant"),
        (("--base-url", "https://a.example", "--tenant", "acme", "--api-key-env", "UNSET"), "UNSET"),
        (("--base-url", "https://a.example", "--tenant", "acme", "--api-key-file", "/nowhere"), "/nowhere"),
    ],
)
def test_what_is_refused_says_why(arguments, says):
    with pytest.raises(CommandError, match=says) as refusal:
        run(*ADD, *arguments)
    assert refusal.value.returncode == 1
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (*ADD, "--base-url", "https://a.example"),
        (*ADD, "--base-url", "https://a.example", "--tenant", "acme", "--platform"),
        ("connection", "add", "--name", "x", "--kind", "magic", "--tenant", "acme"),
        ("connection",),
        ("connection", "test", "--platform"),
        ("model", "set", "--platform"),
        ("model", "set", "x", "--tenant", "acme", "--input-price", "much"),
        ("model", "set", "x", "--tenant", "acme", "--price", "input"),
        ("model", "set", "x", "--tenant", "acme", "--price", "input=much"),
        ("model", "set", "x", "--platform", "--retire-on", "soon"),
    ],
)
def test_wrong_usage_is_told_apart(arguments):
    with pytest.raises(CommandError):
        run(*arguments)


def test_a_missing_address_is_wrong_usage():
    with pytest.raises(SystemExit) as end:
        run(*ADD, "--tenant", "acme")
    assert end.value.code == 2


def test_a_failing_test_ends_with_an_error(provider):
    provider.status = 401
    run(*ADD, "--base-url", provider.base_url, "--allow-private", "--tenant", "acme")
    for action in ("test", "sync"):
        with pytest.raises(CommandError, match="API key"):
            run("connection", action, "vLLM", "--tenant", "acme")
    with pytest.raises(CommandError, match="no connection"):
        run("connection", "test", "missing", "--tenant", "acme")


@pytest.mark.parametrize("answer", [(500, None), (200, b"{"), (200, b'{"data": []}')])
def test_an_addition_that_cannot_sync_leaves_nothing_and_can_be_made_again(provider, answer):
    add = (*ADD, "--base-url", provider.base_url, "--allow-private", "--sync", "--tenant", "acme")
    provider.status, provider.body = answer
    if answer == (200, b'{"data": []}'):
        run(*add)  # a provider that has nothing yet is no failure
    else:
        with pytest.raises(CommandError, match=r"Nothing was added\. Without --sync the connection is"):
            run(*add)
        assert not Connection.objects.exists()
        provider.status, provider.body = 200, None
        run(*add)
    assert Connection.objects.count() == 1


def test_models_that_did_not_come_in_are_named(provider):
    provider.listed = ["small", "Mistral (large)", "café"]
    here = ("--base-url", provider.base_url, "--allow-private", "--tenant", "acme", "--sync")
    added = run(*ADD, *here)
    assert "names cannot be used here: 2 (Mistral (large), café)." in added
    assert "end after 4096 tokens at most" in added and "--default-max-output-tokens" in added
    told = run("connection", "sync", "vLLM", "--tenant", "acme")
    assert "names cannot be used here: 2 (Mistral (large), café)." in told and "--upstream-name" in told
    assert "4096" not in told, "nothing was added"
    report = run("connection", "sync", "vLLM", "--tenant", "acme", as_json=True)
    assert report["refused"] == ["Mistral (large)", "café"]


def test_a_model_is_added_priced_and_listed(make):
    make.connection("Provider")
    here = ("--tenant", "acme")
    shown = run(
        "model",
        "set",
        "house",
        "--connection",
        "Provider",
        "--upstream-name",
        "qwen3",
        "--context-window",
        "8192",
        "--input-price",
        "0.50",
        "--output-price",
        "1.25",
        "--cached-price",
        "0.05",
        "--capability",
        "tools",
        "--default",
        *here,
        as_json=True,
    )
    assert shown["prices"] == [
        {"currency": "EUR", "input": "0.5", "output": "1.25", "cached": "0.05", "reasoning": "1.25"}
    ]
    assert (shown["name"], shown["upstream_name"], shown["default"], shown["context_window"]) == (
        "house",
        "qwen3",
        True,
        8_192,
    )
    run("model", "set", "house", "--price", "cache_write=0.625", "--price", "images=0.04", *here)
    [listed] = run("model", "list", *here, as_json=True)
    assert listed["prices"] == [
        shown["prices"][0] | {"cache_write": "0.625", "images": "0.04"},
    ]
    run("model", "set", "house", "--reasoning-price", "3", "--disable", *here)
    [listed] = run("model", "list", *here, as_json=True)
    assert listed["prices"][0]["reasoning"] == "3" and listed["enabled"] is False
    assert list_routes() == {}
    run("model", "set", "house", "--enable", "--connection", "Provider", *here)
    assert "house" in list_routes() and Model.objects.get(name="house").capabilities == ["tools"]


def test_setting_a_model_is_refused_where_it_breaks_a_rule(make):
    make.model("small")
    for arguments, says in (
        (("small", "--retire-on", "2020-01-01", "--tenant", "acme"), "3 months"),
        (("small", "--channel", "retired", "--tenant", "acme"), "announced"),
        (("missing", "--label", "x", "--tenant", "acme"), "no model"),
        (("small", "--plan", "standard", "--tenant", "acme"), "plans"),
        (
            ("small", "--input-price", "-1", "--output-price", "1", "--tenant", "acme"),
            "between 0 and 1,000,000",
        ),
        (("small", "--label", "lost", "--input-price", "1", "--tenant", "acme"), "price of output"),
        (
            ("small", "--label", "lost", "--price", "tears=1", "--tenant", "acme"),
            "input, cached",
        ),
    ):
        with pytest.raises(CommandError, match=says):
            run("model", "set", *arguments)
    assert Model.objects.get().label == ""  # all of a command, or nothing


def test_a_model_of_the_platform_belongs_to_plans(make):
    with platform():
        make.model("shared")
    run("model", "set", "shared", "--platform", "--plan", "standard", "--channel", "stable")
    assert list_routes() == {}
    with pytest.raises(CommandError, match="no plan"):
        run("model", "set", "shared", "--platform", "--plan", "gold")
