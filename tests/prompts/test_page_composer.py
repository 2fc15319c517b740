"""The composer: what a draft and a budget make of it."""

import re
from decimal import Decimal

import pytest

from prompts.services import MAX_TEXT_CHARS
from tests.prompts.pages import url
from tests.rights import give_rights
from usage.models import Budget
from usage.services import ensure_plan_budget, set_budget

pytestmark = pytest.mark.django_db


def test_a_starters_text_waits_in_the_composer(as_bob):
    html = as_bob.get(url("chat-home", query="?text=%3Cb%3EHello")).content.decode()
    assert "&lt;b&gt;Hello</textarea>" in html


def test_the_composer_takes_as_much_as_the_service(as_bob):
    assert f'maxlength="{MAX_TEXT_CHARS}"' in as_bob.get(url("chat-home")).content.decode()


@pytest.fixture
def use_up(db):
    """use_up(budget, spent): as the ledger would have booked it."""

    def book(budget, spent: str):
        Budget.objects.filter(pk=budget.pk).update(spent=Decimal(spent), allowance=Decimal(spent))

    return book


SEND_IS_DISABLED = re.compile(r'<button class="send"[^>]*data-send[^>]* disabled')


@pytest.mark.parametrize(("period", "is_renewed"), [("day", True), ("month", True), ("total", False)])
def test_a_used_up_budget_says_which_and_who_can_raise_it(
    acme, alice, bob, offer, use_up, period, is_renewed
):
    offer("dear", ("1", "1"))
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1), period=period), "1")
    plain, owner = (acme.login_as(person).get(url("chat-home")).content.decode() for person in (bob, alice))
    for html in (plain, owner):
        assert (
            f"The budget “{Budget.objects.get().get_level_display()} · "
            f"{Budget.objects.get().get_period_display()}” is used up." in html
        )
        assert ("It begins anew on" in html) == is_renewed and "this month" not in html
        assert SEND_IS_DISABLED.search(html) and "free of charge still" not in html
    assert "An administrator of your organisation can raise it." in plain and "usage/budget" not in plain
    assert "/admin/usage/budget/" in owner and "An administrator" not in owner


def test_who_may_not_change_budgets_is_sent_to_those_who_may(acme, bob, offer, use_up):
    """Also with a key to the administration."""
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1)), "1")
    give_rights(bob, "accounts.access_admin")
    html = acme.login_as(bob).get(url("chat-home")).content.decode()
    assert (
        "An administrator of your organisation can raise it." in html and "/admin/usage/budget/" not in html
    )


def test_a_budget_of_the_plan_is_the_operators(acme, alice, offer, use_up):
    offer("dear", ("1", "1"))
    use_up(ensure_plan_budget(Decimal(5)), "5")
    html = acme.login_as(alice).get(url("chat-home")).content.decode()
    assert "the operator of the platform can raise it." in html
    assert "An administrator" not in html and "/admin/usage/budget/" not in html


def test_a_used_up_budget_leaves_the_free_models(as_bob, offer, use_up):
    offer("dear", ("1", "1"))
    offer("free")
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(1)), "1")
    html = as_bob.get(url("chat-home")).content.decode()
    assert not SEND_IS_DISABLED.search(html) and "Models that are free of charge still answer." in html


def test_a_budget_that_runs_low_is_noted(as_bob, offer, use_up):
    offer("dear", ("1", "1"))
    use_up(set_budget(actor=None, level="tenant", limit=Decimal(10)), "8.5")
    html = as_bob.get(url("chat-home")).content.decode()
    assert ": 85 % used" in html and "used up" not in html and not SEND_IS_DISABLED.search(html)
