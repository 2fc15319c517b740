"""What a model's languages are: said by an administrator at any door, read by “auto” and the catalogue."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import override

from models_registry.languages import list_names, name_languages
from models_registry.models import Model
from models_registry.selectors import list_routes
from tests.admin.model_forms import model_form, prices, url
from tests.conftest import manage

pytestmark = pytest.mark.django_db


def test_an_administrator_says_them_in_the_form_and_the_catalogue_shows_them(acme, alice, make):
    row = make.model("european")
    alice.language = "de"
    alice.save()
    acme.login_as(alice)
    address = url("models_registry_model_change", row.pk)
    page = acme.get(address).text
    assert '<option value="zh">Chinesisch</option>' in page and 'value="nl">Niederländisch' in page
    form = model_form(row) | prices()
    assert acme.post(address, form | {"languages": ["de", "", "nl"]}).status_code == 302
    assert list_routes()["european"].languages == ("de", "nl")
    detail = reverse("models_registry:model-detail", args=[row.pk], urlconf="config.urls_tenant")
    assert "Deutsch, Niederländisch" in acme.get(detail).text
    acme.post(address, form | {"languages": ["de", "nl"], "label": "Other"})
    assert Model.objects.get().languages == ["de", "nl"]
    refused = acme.post(address, form | {"languages": ["xx"]})
    assert refused.status_code == 200 and "„xx“" in refused.text
    acme.post(address, form | {"languages": [""]})
    assert list_routes()["european"].languages == () and "Sprachen" not in acme.get(detail).text


def test_programs_and_commands_say_them_too(acme, alice, make):
    row = make.model("english")
    address = f"/api/v1/models/{row.pk}/"
    acme.login_as(alice)
    changed = acme.patch(address, {"languages": ["en"]}, content_type="application/json")
    assert changed.json()["languages"] == ["en"]
    for wrong in (["english"], ["en", "en"], "en", [1]):
        refused = acme.patch(address, {"languages": wrong}, content_type="application/json")
        assert refused.status_code == 400 and "languages" in refused.text, wrong
    manage("model", "set", "english", "--tenant", "acme", "--language", "en", "--language", "zh")
    (listed,) = json.loads(manage("model", "list", "--tenant", "acme", "--json"))
    assert listed["languages"] == ["en", "zh"]
    row.languages = ["zh-hans"]
    with pytest.raises(ValidationError, match="Write two letters"):
        row.full_clean()


@pytest.mark.parametrize(
    ("language", "names"),
    [("en", ["English", "Chinese"]), ("de", ["Englisch", "Chinesisch"]), ("zh-hans", ["英语", "中文"])],
)
def test_each_reads_their_names_in_their_own_language(language, names):
    with override(language):
        assert name_languages(["en", "zh", "xx"]) == [*names, "xx"]
        assert len(set(list_names().values())) == len(list_names())
