"""Pages of the past name models whose rows are gone."""

import pytest
from django.urls import reverse

from models_registry import services
from models_registry.selectors import label_models
from tenants.context import platform
from tests.estate import make_event

pytestmark = pytest.mark.django_db
URLS = "config.urls_tenant"


def test_what_was_used_keeps_its_label_after_the_model_is_gone(make, acme, bob):
    first, second = make.model("old-one", label="The old one"), make.model("old-two", label="The other")
    plain = make.model("plain")
    for row in (first, second, plain):
        make_event(bob, model=row.name)
    services.remove_model(actor=None, model=first)
    services.remove_model(actor=None, model=plain)
    services.remove_connection(actor=None, connection=second.connection, force=True)
    assert label_models(["old-one", "old-two", "plain", "never"]) == {
        "old-one": "The old one",
        "old-two": "The other",
        "plain": "plain",
        "never": "never",
    }
    page = acme.login_as(bob).get(reverse("usage:my-usage", urlconf=URLS)).text
    assert "The old one" in page and "The other" in page


def test_a_name_that_is_given_anew_is_called_as_its_model_is_now(make):
    row = make.model("house", label="House of old")
    services.set_model(actor=None, model=row, name="house-2", label="House of now")
    assert label_models(["house", "house-2"]) == {"house": "House of old", "house-2": "House of now"}
    make.model("house", label="")
    assert label_models(["house"]) == {"house": "house"}, "its own word, be that none"


def test_the_platforms_are_named_to_organisations_too(make):
    with platform():
        row = make.model("shared", label="Shared by all")
        services.remove_model(actor=None, model=row)
    assert label_models(["shared"]) == {"shared": "Shared by all"}
    own = make.model("shared", label="Ours")
    services.remove_model(actor=None, model=own)
    assert label_models(["shared"]) == {"shared": "Ours"}, "the bills here were of that one"
