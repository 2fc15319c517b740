"""Stand-ins and successors name models that there are, of the same kind, and end."""

import pytest

from foundation.errors import InvalidInput
from models_registry import services
from models_registry.models import Model
from models_registry.worlds import active_world
from tenants.context import platform, tenant
from tenants.models import Plan
from tenants.provisioning.plans import create_plan

pytestmark = pytest.mark.django_db


def set_model(row: Model, **changes) -> Model:
    return services.set_model(actor=None, model=row, **changes)


def refusal(row: Model, **changes) -> str:
    with pytest.raises(InvalidInput) as caught:
        set_model(row, **changes)
    assert caught.value.param == next(iter(changes)) or "kind" in changes
    return str(caught.value.message)


@pytest.fixture
def small(make):
    with tenant("acme"):
        yield make.model()


@pytest.mark.parametrize("column", ["fallbacks", "successor"])
def test_what_is_named_must_be_there_be_of_the_same_kind_and_be_another(small, make, column):
    def named(*names: str) -> dict:
        return {column: list(names) if column == "fallbacks" else names[0]}

    make.model("vectors", kind="embedding")
    assert "no model “gone”" in refusal(small, **named("gone"))
    assert "“vectors” is of another kind" in refusal(small, **named("vectors"))
    assert "model" in refusal(small, **named("small"))
    set_model(small, aliases=["house"])
    assert "“house”" not in refusal(small, **named("house")), "it is itself"
    make.model("other", aliases=["best"])
    for name in ("other", "best"):
        assert getattr(set_model(small, **named(name)), column) == named(name)[column]


def test_nothing_stands_in_for_a_model_of_embeddings(small, make):
    """Its vectors are kept beside those that came before."""
    vectors = make.model("vectors", kind="embedding")
    make.model("others", kind="embedding")
    assert "vectors of two models" in refusal(vectors, fallbacks=["others"])
    with pytest.raises(InvalidInput):
        make.model("new", kind="embedding", fallbacks=["others"])
    Model.objects.filter(pk=vectors.pk).update(fallbacks=["others"])  # from before
    assert set_model(vectors, label="Vectors", successor="others").fallbacks == ["others"]
    set_model(vectors, fallbacks=[])


def test_all_that_is_unknown_is_told_at_once(small, make):
    make.model("other")
    text = refusal(small, fallbacks=["gone", "other", "lost"])
    assert "“gone”, “lost”" in text and "other" not in text


def test_a_new_model_is_checked_too(small, make):
    with pytest.raises(InvalidInput):
        make.model("new", fallbacks=["gone"])
    make.model("new", fallbacks=["small"], successor="small")


def test_two_models_may_stand_in_for_each_other_and_their_successors_must_end(small, make):
    second = make.model("second", fallbacks=["small"], successor="small")
    third = make.model("third", successor="second")
    set_model(small, fallbacks=["second"])
    assert "small → third → second → small" in refusal(small, successor="third")
    set_model(third, successor="")
    set_model(small, successor="third")
    assert "small" in refusal(third, successor=second.name)


def test_what_is_gone_since_hinders_no_other_change(small, make):
    make.model("other")
    set_model(small, fallbacks=["other"], successor="other")
    services.remove_model(actor=None, model=Model.objects.get(name="other"))
    assert set_model(small, label="Small").fallbacks == ["other"]
    assert "no model “other”" in refusal(small, fallbacks=["other"])
    assert "no model “other”" in refusal(small, kind="embedding"), "of which nobody knows the kind"
    set_model(small, fallbacks=[], successor="", kind="embedding")


def test_a_tenant_names_the_platforms_models_of_its_plan_and_no_others(small, make):
    other_plan = create_plan(name="other", label="Other")
    with platform():
        shared = make.connection("Shared", base_url="https://shared.example.com/v1")
        make.model("for-all", shared)
        make.model("for-others", shared, plans=Plan.objects.filter(pk=other_plan.pk))
        assert "no model “small”" in refusal(
            active_world().models.objects.get(name="for-all"), successor="small"
        )
    set_model(small, successor="for-all", fallbacks=["for-all"])
    assert "no model “for-others”" in refusal(small, successor="for-others")
