"""Where the pages of log-in and passwords put the focus."""

import re

import pytest

from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def focused(response) -> list[str]:
    return [
        re.search(r'name="(\w+)"', field)[1]
        for field in re.findall(r"<(?:input|select|textarea)[^>]*>", response.content.decode())
        if re.search(r"\sautofocus\b", field)
    ]


def test_the_log_in_begins_in_its_first_field(acme, on_platform):
    assert focused(acme.get("/accounts/login/")) == ["login"] == focused(on_platform.get("/accounts/login/"))
    assert focused(acme.get("/accounts/password/reset/")) == ["email"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"login": "", "password": "x"}, "login"),
        ({"login": "bob@acme.example", "password": ""}, "password"),
        ({"login": "no address", "password": ""}, "login"),
        ({"login": "bob@acme.example", "password": "wrong"}, "password"),
    ],
    ids=["no address", "no password", "both wrong", "refused as a whole"],
)
def test_a_refused_log_in_leads_to_what_is_to_be_mended(acme, sent, field):
    assert focused(acme.post("/accounts/login/", sent)) == [field]


def test_what_is_wrong_with_the_whole_form_is_read_with_the_field(acme):
    for _try in range(6):
        response = acme.post("/accounts/login/", {"login": "bob@acme.example", "password": "wrong"})
        html = response.content.decode()
        assert re.search(r'<input[^>]*type="password"[^>]*aria-describedby="form-errors"', html) or re.search(
            r'<input[^>]*aria-describedby="form-errors"[^>]*type="password"', html
        )
        assert html.count('id="form-errors"') == 1
    assert "Too many failed tries. Try again in 5 minutes." in html


def test_changing_the_password_begins_with_the_old_one(acme, bob):
    client = acme.login_as(bob)
    assert focused(client.get("/accounts/password/change/")) == ["oldpassword"]
    new = {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    assert focused(client.post("/accounts/password/change/", new)) == ["password1"]
