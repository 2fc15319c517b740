"""A model's further endpoints, other names and stand-ins; a connection's limits of time."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Grant, Limit
from accounts.objects import list_objects
from accounts.services import grant, set_limit
from foundation.errors import Conflict, InvalidInput, NotAllowed
from models_registry import services
from models_registry.models import Model, ModelEndpoint
from models_registry.selectors import list_hidden, list_routes
from models_registry.services import EndpointSpec
from models_registry.services.endpoints import MAX_ENDPOINTS
from models_registry.worlds import PLATFORM
from tenants.context import platform, tenant
from tenants.models import Plan


def spec(row, name: str = "", weight: int = 1) -> EndpointSpec:
    return EndpointSpec(row, name, weight)


def targets_of(name: str = "small") -> list[tuple[str, str, int]]:
    return [
        (target.endpoint.base_url, target.upstream_name, target.weight)
        for target in list_routes()[name].targets
    ]


@pytest.fixture
def three(make):
    """A model at the first of three connections."""
    rows = [make.connection(f"C{n}", base_url=f"https://c{n}.example.com/v1") for n in range(3)]
    return make.model(connection_row=rows[0], upstream_name="org/small"), rows


def test_a_model_has_its_own_connection_and_further_ones(three):
    model, (_first, second, third) = three
    services.set_model(actor=None, model=model, weight=3)
    services.set_endpoints(actor=None, model=model, endpoints=[spec(second), spec(third, "small-fp8", 0)])
    assert targets_of() == [
        ("https://c0.example.com/v1", "org/small", 3),
        ("https://c1.example.com/v1", "org/small", 1),
        ("https://c2.example.com/v1", "small-fp8", 0),
    ]


def test_endpoints_are_replaced_as_a_whole_and_what_stays_stays(three):
    model, (_first, second, third) = three
    services.set_endpoints(actor=None, model=model, endpoints=[spec(second), spec(third)])
    kept = ModelEndpoint.objects.get(connection=third)
    services.set_endpoints(actor=None, model=model, endpoints=[spec(third, weight=7)])
    assert [(row.pk, row.weight) for row in ModelEndpoint.objects.all()] == [(kept.pk, 7)]
    services.set_endpoints(actor=None, model=model, endpoints=[])
    assert len(targets_of()) == 1


def test_an_endpoint_that_is_off_is_left_out_and_the_model_lives_on_the_others(three):
    model, (first, second, _third) = three
    services.set_endpoints(actor=None, model=model, endpoints=[spec(second)])
    services.update_connection(actor=None, connection=first, is_enabled=False)
    assert targets_of() == [("https://c1.example.com/v1", "org/small", 1)]
    services.update_connection(actor=None, connection=second, is_enabled=False)
    assert list_routes() == {}


@pytest.mark.parametrize("kind", ["twice", "its own", "too many", "too heavy"])
def test_endpoints_that_make_no_sense_are_refused(three, make, kind):
    model, (first, second, _third) = three
    wanted = {
        "twice": [spec(second), spec(second)],
        "its own": [spec(first)],
        "too many": [spec(second, f"m{n}") for n in range(MAX_ENDPOINTS + 1)],
        "too heavy": [spec(second, weight=1_001)],
    }[kind]
    with pytest.raises((InvalidInput, ValidationError)):
        services.set_endpoints(actor=None, model=model, endpoints=wanted)
    assert not ModelEndpoint.objects.exists()


def test_a_member_sets_no_endpoints(three, bob):
    with pytest.raises(NotAllowed):
        services.set_endpoints(actor=bob, model=three[0], endpoints=[])


def test_a_connection_in_use_as_an_endpoint_is_not_removed_by_mistake(three):
    model, (_first, second, _third) = three
    services.set_endpoints(actor=None, model=model, endpoints=[spec(second)])
    with pytest.raises(Conflict):
        services.remove_connection(actor=None, connection=second)
    services.remove_connection(actor=None, connection=second, force=True)
    assert len(targets_of()) == 1 and Model.objects.count() == 1


# -- names ---------------------------------------------------------------------------------------------------


def test_a_model_is_called_by_its_other_names_too(make):
    model = make.model(aliases=["gpt-4o", "best"])
    routes = list_routes()
    assert routes["gpt-4o"] is routes["best"] is routes["small"] and routes["best"].name == "small"
    services.set_model(actor=None, model=model, aliases=[])
    assert set(list_routes()) == {"small"}


@pytest.mark.parametrize(
    "aliases", [["other"], ["named"], ["small"], ["a", "a"], ["auto"], ["has space"], "x", [7]]
)
def test_two_models_never_have_one_name(make, aliases):
    make.model("other", aliases=["named"])
    with pytest.raises((InvalidInput, ValidationError)):
        make.model("small", aliases=aliases)


def test_a_new_model_takes_no_others_alias(make):
    make.model("other", aliases=["small"])
    with pytest.raises(InvalidInput):
        make.model("small")


@pytest.mark.parametrize("name", ["gpt-4o", "omni"])
def test_another_name_hides_no_model_of_the_platform(make, name):
    """Calls would go to another server, and nobody see why."""
    with platform():
        make.model("gpt-4o", aliases=["omni"], is_enabled=False)
    with pytest.raises(InvalidInput, match=f"“{name}” is a model of the platform") as caught:
        make.model("small", aliases=[name])
    assert caught.value.param == "aliases"
    with pytest.raises(InvalidInput):
        services.set_model(actor=None, model=make.model("gpt-4o"), name="small", aliases=["gpt-4o"])
    assert list_routes()["gpt-4o"].origin == "tenant", "as its own name it may"


def test_another_name_that_hid_one_before_hinders_no_change(make):
    model = make.model("small", aliases=["gpt-4o"])
    with platform():
        make.model("gpt-4o")
    row = services.set_model(actor=None, model=model, name="smaller", aliases=["gpt-4o", "best"])
    assert (row.name, row.aliases) == ("smaller", ["gpt-4o", "best"])


def test_models_of_other_plans_hide_nothing(make):
    with platform():
        make.model("gpt-4o", plans=[Plan.objects.create(name="other", label="Other")])
    assert make.model("small", aliases=["gpt-4o"]).aliases == ["gpt-4o"]


def test_rights_are_given_to_what_may_be_called_not_to_what_an_alias_hides(make):
    make.model("small", aliases=["gpt-4o"])
    with platform():
        make.model("gpt-4o")
        make.model("shared")
    assert {one.name for one in list_objects("model")} == {"small", "shared"}


def test_a_tenants_alias_goes_before_the_platforms_model_of_that_name(make):
    with tenant("acme"):
        row = make.connection("Own", base_url="https://own.example.com/v1")
        make.model("small", row, aliases=["gpt-4o"], is_enabled=False)
    with platform():
        shared = make.connection("Shared", base_url="https://shared.example.com/v1")
        make.model("gpt-4o", shared)
    with tenant("acme"):
        assert "gpt-4o" not in list_routes(), "off, too: a call never goes unexpectedly to another provider"


def test_what_an_alias_hides_of_the_platforms_models_is_told(make):
    """No alias hides one when it is given; the platform may name one later, of which it knows nothing."""
    make.model("own")
    make.model("small", aliases=["gpt-4o", "best", "off", "dear", "omni"])
    with platform():
        plan, other = (Plan.objects.create(name=name, label=name) for name in ("ours", "other"))
        for name, fields in {
            "gpt-4o": {"plans": [plan]},
            "best": {"plans": [other]},
            "off": {"is_enabled": False},
            "dear": {},
            "own": {},
            "hosted": {"aliases": ["omni"]},
        }.items():
            make.model(name, **fields)
        make.price(PLATFORM.models.objects.get(name="dear"), currency="USD")
    assert [(route.name, own) for route, own in list_hidden(plan.pk, "EUR")] == [("gpt-4o", "small")]


def test_stand_ins_are_named_in_their_order(make):
    make.model("third")
    make.model("other")
    make.model(fallbacks=["other", "third"])
    assert list_routes()["small"].fallbacks == ("other", "third")


# -- time ----------------------------------------------------------------------------------------------------


def test_a_connection_has_limits_of_time_and_those_of_its_kind_where_it_says_none(make):
    row = make.connection(kind="vllm", base_url="https://vllm.example.com/v1", idle_timeout_s=7)
    make.model(connection_row=row)
    (target,) = list_routes()["small"].targets
    endpoint = target.endpoint
    assert (endpoint.idle_timeout_s, endpoint.first_byte_timeout_s, endpoint.total_timeout_s) == (
        7,
        600,
        3_600,
    )
    services.update_connection(
        actor=None, connection=row, idle_timeout_s=None, token_limit_name="max_completion_tokens"
    )
    endpoint = list_routes()["small"].targets[0].endpoint
    assert (endpoint.idle_timeout_s, endpoint.token_limit_name) == (120, "max_completion_tokens")


@pytest.mark.parametrize(
    "changes",
    [{"idle_timeout_s": 0}, {"total_timeout_s": 3_601}, {"connect_timeout_s": 61}, {"token_limit_name": "n"}],
)
def test_limits_of_time_are_bounded(make, changes):
    row = make.connection()
    with pytest.raises(ValidationError):
        services.update_connection(actor=None, connection=row, **changes)


def test_a_server_at_a_private_address_is_local_unless_told_otherwise(make):
    with platform():
        assert make.connection(base_url="http://192.168.0.7:8000/v1").location == "local"
        assert make.connection("Two", base_url="http://127.0.0.1:9000/v1", location="eu").location == "eu"
        assert make.connection("Three", location=None).location == ""


def test_a_connection_that_moves_elsewhere_is_no_longer_local(make):
    """A policy trusts the place: what nobody knows of the new one is unknown."""
    with platform():
        row = make.connection(base_url="http://10.0.0.5/v1")
        assert row.location == "local"
        row = services.update_connection(actor=None, connection=row, base_url="https://api.example.com/v1")
        assert row.location == ""
        row = services.update_connection(
            actor=None, connection=row, base_url="https://eu.example.com/v1", location="eu"
        )
        assert row.location == "eu"


def test_rights_and_limits_of_a_model_go_with_it(make, alice):
    row = make.model()
    grant(actor=alice, kind="model", target=row.pk, user=alice)
    set_limit(actor=alice, level="model", subject_id=row.pk, measure="requests_per_minute", amount=5)
    services.remove_model(actor=None, model=row)
    assert not Grant.objects.exists() and not Limit.objects.filter(level="model").exists()
