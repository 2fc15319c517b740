"""Which endpoints may take a call: stand-ins, names, and where data may go. Which one does: test_load.py."""

from uuid import uuid4

import pytest

from accounts.grants import ObjectGrants
from foundation.errors import NotAllowed, NotFound
from gateway.calls import Call, Principal
from gateway.operations import chat_completions
from gateway.run import goes_on
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.lookup import find_route
from gateway.steps.resolve import resolve
from gateway.v1 import list_named
from models_registry.routes import list_ways
from tenants.data_policy import DataPolicy, strictest
from tests.gateway.calling import PROJECT, make_endpoint, make_route, snapshot


def endpoint(location: str = "", **fields):
    return make_endpoint("https://api.example.com/v1", location=location, **fields)


def principal(**fields) -> Principal:
    return Principal("acme", uuid4(), PROJECT, **fields)


def candidates(known: TenantSnapshot, name: str = "ours", who: Principal | None = None) -> list[str]:
    call = Call(who or principal(), {"model": name}, 2, chat_completions.OPERATION)
    resolve(call, known)
    assert call.candidate is call.candidates[0]
    return [f"{one.route.name}@{one.endpoint.location}" for one in call.candidates]


def names(known: TenantSnapshot, who: Principal) -> list[str]:
    """What `/v1/models` lists."""
    return [name for name, _route in list_named(who, known)]


# -- stand-ins -----------------------------------------------------------------------------------------------


def test_stand_ins_follow_with_their_own_endpoints():
    ours = make_route([endpoint("eu"), endpoint("eu")], fallbacks=("other", "missing", "other", "ours"))
    other = make_route([endpoint("us")], name="other")
    assert candidates(snapshot(ours, other)) == ["ours@eu", "ours@eu", "other@us"]


def test_what_the_caller_may_not_use_does_not_stand_in():
    ours = make_route([endpoint("eu")], fallbacks=("other",))
    other = make_route([endpoint("us")], name="other")
    known = snapshot(ours, other)
    assert candidates(known, who=principal(model_names=frozenset({"ours"}))) == ["ours@eu"]
    known.grants = {other.model_id: ObjectGrants(frozenset({"role:x"}), frozenset())}
    assert candidates(known) == ["ours@eu"]


def test_a_model_of_another_kind_does_not_stand_in():
    ours = make_route([endpoint()], fallbacks=("vectors",))
    vectors = make_route([endpoint()], name="vectors", kind="embedding")
    assert len(candidates(snapshot(ours, vectors))) == 1


def test_nothing_stands_in_for_a_model_of_embeddings():
    """Rows from before may name some."""
    ours = make_route([endpoint("eu"), endpoint("us")], kind="embedding", fallbacks=("other",))
    other = make_route([endpoint("us")], name="other", kind="embedding")
    ways = list_ways(ours, "ours", {"ours": ours, "other": other}.get, "")
    assert [(way.route.name, len(way.targets)) for way in ways] == [("ours", 2)]


@pytest.mark.parametrize(
    ("fields", "is_so"),
    [
        ({}, False),
        ({"policy": "eu"}, True),
        ({"denied": True}, True),
    ],
    ids=["it may be asked", "no data may go there", "the caller may not use it"],
)
def test_an_answer_goes_on_where_all_that_may_be_asked_can_do_so(fields, is_so):
    """The stand-in cannot, and is named by an alias."""
    ours = make_route([endpoint("eu", kind="vllm")], fallbacks=("gpt",))
    other = make_route([endpoint("us")], name="other")
    known = snapshot(ours, other, aliases={"gpt": "other"}, policy=fields.get("policy", ""))
    if "denied" in fields:
        known.grants = {other.model_id: ObjectGrants(frozenset({"role:x"}), frozenset())}
    assert goes_on("ours", principal(), known) is is_so
    assert not goes_on("unknown", principal(), known)


# -- names ---------------------------------------------------------------------------------------------------


def test_another_name_leads_to_the_model_and_is_not_listed():
    known = snapshot(make_route([endpoint()]), aliases={"gpt-4o": "ours"})
    assert candidates(known, "gpt-4o") == ["ours@"]
    assert names(known, principal()) == ["ours"]


def test_a_key_that_is_bound_to_an_alias_lists_the_model_under_it():
    other = make_route([endpoint()], name="other")
    known = snapshot(make_route([endpoint()]), other, aliases={"gpt-4o": "ours", "gpt-5": "other"})
    assert names(known, principal(model_names=frozenset({"gpt-4o", "gone"}))) == ["gpt-4o"]
    assert names(known, principal(model_names=frozenset({"gpt-4o", "other"}))) == ["gpt-4o", "other"]
    known.grants = {other.model_id: ObjectGrants(frozenset({"role:x"}), frozenset())}
    assert names(known, principal(model_names=frozenset({"gpt-5"}))) == []


def test_who_answers_is_told_by_the_name_that_led_there():
    """Of a stand-in that the model names by an alias: by that. The key's list may hold no other."""
    ours = make_route([endpoint()], fallbacks=("gpt-5",))
    known = snapshot(
        ours, make_route([endpoint()], name="other"), aliases={"gpt-4o": "ours", "gpt-5": "other"}
    )
    who = principal(model_names=frozenset({"gpt-4o", "gpt-5"}))
    call = Call(who, {"model": "gpt-4o"}, 2, chat_completions.OPERATION)
    resolve(call, known)
    told = []
    for candidate in call.candidates:
        call.begin_attempt(candidate)
        told.append((call.told_name, call.route.name))
    assert told == [("gpt-4o", "ours"), ("gpt-5", "other")]


def test_a_model_of_a_kind_that_is_not_served_is_not_listed():
    kinds = ["chat", "embedding", "rerank", "image", "speech", "transcription"]
    routes = [make_route([endpoint()], name=kind, kind=kind) for kind in kinds]
    known = snapshot(*routes, aliases={"dall-e": "image"})
    assert names(known, principal()) == ["chat", "embedding", "rerank"]
    assert names(known, principal(model_names=frozenset({"dall-e", "chat"}))) == ["chat"]


@pytest.mark.parametrize("allowed", ["ours", "gpt-4o"])
def test_a_keys_list_may_name_either(allowed):
    known = snapshot(make_route([endpoint()]), aliases={"gpt-4o": "ours"})
    who = principal(model_names=frozenset({allowed}))
    assert find_route("gpt-4o", who, known) is not None
    with pytest.raises(NotFound):
        candidates(known, who=principal(model_names=frozenset({"else"})))


# -- policies ------------------------------------------------------------------------------------------------

PLACES = ("local", "eu", "us", "")


def everywhere() -> list:
    """Each place twice: at a server that promised to store nothing, and at one that did not."""
    return [endpoint(place, no_storage=is_kept) for place in PLACES for is_kept in (True, False)]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("", ["local", "eu", "us", ""]),
        ("eu", ["local", "eu"]),
        ("local", ["local"]),
    ],
)
@pytest.mark.parametrize("of", ["policy", "project_policy"])
def test_a_policy_leaves_only_endpoints_where_data_may_go(policy, left, of):
    ours = make_route(everywhere())
    found = candidates(snapshot(ours, **{of: policy}))
    assert sorted(found) == sorted(2 * [f"ours@{place}" for place in left])
    found = candidates(snapshot(ours, **{of: f"{policy}+unstored"}))
    assert sorted(found) == sorted(f"ours@{place}" for place in left), "with the promise alone"


def test_a_policy_binds_stand_ins():
    ours = make_route([endpoint("eu", no_storage=True)], fallbacks=("other", "third"))
    other = make_route([endpoint("eu")], name="other")
    third = make_route([endpoint("us", no_storage=True)], name="third")
    known = snapshot(ours, other, third, policy="eu", project_policy="+unstored")
    assert candidates(known) == ["ours@eu"]


@pytest.mark.parametrize(
    ("policies", "whose"),
    [
        (("local", ""), "policy of your organisation (this installation's own network only): "),
        (("", "local"), "policy of this project (this installation's own network only): "),
        (("eu", "local"), "policy of this project (this installation's own network only): "),
        (("+unstored", ""), "policy of your organisation (anywhere where nothing is stored): "),
        (
            ("eu", "+unstored"),
            "policies of your organisation (European Union only) and of this project (anywhere where nothing "
            "is stored): ",
        ),
    ],
)
def test_a_refusal_says_which_policy_it_is_and_whose(policies, whose):
    """A server in the EU that stores, and one elsewhere that does not; the stand-in is no better."""
    ours = make_route([endpoint("eu")], fallbacks=("other",))
    other = make_route([endpoint("us", no_storage=policies[0] == "eu")], name="other")
    with pytest.raises(NotAllowed) as caught:
        candidates(snapshot(ours, other, policy=policies[0], project_policy=policies[1]))
    assert (caught.value.code, caught.value.http_status) == ("data_policy", 403)
    assert str(caught.value.message).startswith(f"The data {whose}")
    assert "“ours”" in str(caught.value.message)


def test_the_stricter_of_organisation_and_project_holds():
    assert strictest("", "eu") == "eu" and strictest("local", "eu") == "local" and strictest("", "") == ""
    assert strictest("eu", "+unstored") == "eu+unstored" == strictest("+unstored", "eu")
    assert strictest("local", "eu+unstored") == "local+unstored"
    assert {strictest(one, other) for one in DataPolicy for other in DataPolicy} == set(DataPolicy.values)
