"""Which model answers, where a project's data policy has a word in it."""

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import User
from accounts.services import create_project, set_auto_models, set_data_policy, set_project_member
from models_registry.platform.models import Connection, Model
from models_registry.seeds import seed_platform
from models_registry.services import add_connection, add_model, set_model, set_model_price
from tenants.context import platform, tenant
from tests.e2e.conftest import SLUG
from tests.prompts.visitor import make_person
from usage.models import Budget
from usage.services import set_budget

ABROAD = "goes-abroad"


@pytest.fixture
def careful(house):
    """A person, and the project of theirs whose data stays in the house; one model is elsewhere."""
    with platform():
        if not Model.objects.filter(name=ABROAD).exists():
            address = Connection.objects.get(name="mock").base_url
            place = {"base_url": address, "allow_private": True, "location": "us"}
            abroad = add_connection(actor=None, name="abroad", kind="vllm", **place)
            model = add_model(
                actor=None, connection=abroad, name=ABROAD, label="Big Model", upstream_name="mock"
            )
            set_model_price(actor=None, model=model, input=Decimal(0), output=Decimal(0))
            set_model(actor=None, model=model, is_enabled=True)
    person = make_person(SLUG)
    with tenant(SLUG):
        project = create_project(actor=None, name=f"Careful {person.pk.hex[-6:]}")
        set_project_member(actor=None, project=project, user=person, role="viewer")
    return person, project


@pytest.fixture
def without_house_models(house):
    """Where an earlier test has offered one: it would be the first to step in, and no runtime runs here."""
    with platform():
        offered = list(Model.objects.filter(name="atrium-tiny", is_enabled=True))
        for model in offered:
            set_model(actor=None, model=model, is_enabled=False)
    yield
    with platform():
        for model in offered:
            set_model(actor=None, model=model, is_enabled=True)


def stay_here(project) -> None:
    with tenant(SLUG):
        set_data_policy(actor=None, project=project, data_policy="local")


def choose_project(chat, project) -> None:
    with chat.page.expect_response(lambda response: str(project.pk) in response.url):
        chat.page.locator("#composer-project").select_option(str(project.pk))


def test_another_project_brings_the_models_that_it_allows(arrive, careful):
    person, project = careful
    stay_here(project)
    chat = arrive(user=person, model=ABROAD)
    picker = chat.page.locator("#composer-model")
    expect(picker).to_have_value(ABROAD)
    choose_project(chat, project)
    expect(picker.locator(f'option[value="{ABROAD}"]')).to_be_disabled()
    expect(picker).to_have_value("")
    expect(chat.page.locator("#policy-note")).to_contain_text("Big Model is not allowed here")
    chat.page.locator("#composer-project").select_option(index=0)
    expect(picker.locator(f'option[value="{ABROAD}"]')).to_be_enabled()


def count_lines_of_print(chat) -> float:
    return chat.page.locator(".composer-print").evaluate(
        "element => element.offsetHeight / parseFloat(getComputedStyle(element).lineHeight)"
    )


def test_on_a_phone_the_small_print_takes_few_lines(arrive, careful):
    """Four where it has most to say: of the model, the data, the budget and the truth."""
    person, project = careful
    stay_here(project)
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
    with tenant(SLUG):
        budget = set_budget(actor=None, level="user", subject_id=person.pk, limit=Decimal(10))
        Budget.objects.filter(pk=budget.pk).update(spent=Decimal("8.5"))
    phone = {"viewport": {"width": 390, "height": 844}, "path": None}
    chat, owner = arrive(user=person, **phone), arrive(role="owner", **phone)
    for language in ("en", "de", "zh-hans"):
        with tenant(SLUG):
            User.objects.filter(pk__in=[person.pk, owner.person.pk]).update(language=language)
        check_print(chat, project)
        check_owners_print(owner)


def check_print(chat, project) -> None:
    chat.go("/")
    choose_project(chat, project)
    # The picker of that project stands: what is chosen before would go with the old one.
    expect(chat.page.locator(f'#composer-model option[value="{ABROAD}"]')).to_be_disabled()
    chat.page.locator("#composer-model").select_option("atrium-tiny")
    for note in ('.set-note[data-set="demo"]', "#policy-note.is-said", "#budget-note.is-said", ".truth-note"):
        expect(chat.page.locator(note)).to_be_visible()
    assert count_lines_of_print(chat) < 4.1


def check_owners_print(owner) -> None:
    owner.go("/")
    owner.page.locator("#composer-model").select_option("atrium-tiny")
    expect(owner.page.locator('.set-note[data-set="demo"] a')).to_be_visible()
    assert count_lines_of_print(owner) < 3.1
    model, truth = (
        owner.page.locator(note).bounding_box() for note in ('.set-note[data-set="demo"]', ".truth-note")
    )
    assert truth["y"] >= model["y"] + model["height"] - 2, "each a line of its own"


def test_a_refused_model_gives_way_in_one_click(arrive, careful, without_house_models):
    """The policy came after the page."""
    person, project = careful
    chat = arrive(user=person, model=ABROAD)
    choose_project(chat, project)
    picker = chat.page.locator("#composer-model")
    expect(picker).to_have_value(ABROAD)
    stay_here(project)
    chat.ask("hello")
    chat.wait_for("failed")
    expect(chat.answer).to_contain_text("Big Model runs where the data policy")
    chat.answer.get_by_role("button", name="Answer with ").click()
    chat.wait_for()
    expect(picker).not_to_have_value(ABROAD)
    expect(chat.answer.locator(".message-model")).not_to_have_text("Big Model")


def test_what_the_policy_forbids_cannot_be_chosen_from_the_list(arrive, careful):
    person, project = careful
    stay_here(project)
    chat = arrive(user=person)
    choose_project(chat, project)
    expect(chat.page.locator(f'#composer-model option[value="{ABROAD}"]')).to_be_disabled()
    expect(chat.page.locator("[data-model-chosen]")).not_to_have_text("Big Model")
    chat.page.locator("#model-button").click()
    chat.page.keyboard.type("big model")
    row = chat.page.get_by_role("option", name="Big Model")
    expect(row).to_have_attribute("aria-disabled", "true")
    expect(row).to_contain_text("Not allowed here")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("#model-chooser")).to_be_visible()
    row.dispatch_event("click")
    expect(chat.page.locator("#composer-model")).not_to_have_value(ABROAD)


@pytest.fixture
def with_auto(careful):
    """The person's project says among which models “auto” chooses."""
    person, project = careful
    with tenant(SLUG):
        set_auto_models(actor=None, project=project, names=[ABROAD, "mock"])
    return person, project


def test_auto_is_chosen_by_keyboard_tells_who_answered_and_stays(arrive, with_auto):
    person, project = with_auto
    chat = arrive(user=person)
    choose_project(chat, project)
    expect(chat.page.locator('#composer-model option[value="auto"]')).to_be_attached()
    chat.page.locator("#model-button").focus()
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("option", name="Automatic")).to_contain_text("Chooses among Big Model")
    chat.page.keyboard.type("big model")
    expect(chat.page.get_by_role("option", name="Automatic")).to_be_hidden()
    chat.page.keyboard.press("Control+a")
    chat.page.keyboard.type("automatic")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("[data-model-chosen]")).to_have_text("Automatic")
    chat.ask("hello")
    chat.wait_for()
    expect(chat.answer.locator(".message-model")).to_have_text("Big Model")
    expect(chat.answer.locator(".message-choice")).to_contain_text("the first of the project's list")
    chat.page.reload()
    expect(chat.page.locator("[data-model-chosen]")).to_have_text("Automatic")
    chat.go("/")
    choose_project(chat, project)
    expect(chat.page.locator("#composer-model")).to_have_value("auto")


def test_a_model_that_is_chosen_while_another_project_comes_stays_chosen(arrive, careful):
    """The list of that project was asked for with the choice before."""
    person, project = careful
    chat = arrive(user=person, expected=("htmx:sendAbort",))
    held = []
    chat.page.route("**/?project=*", lambda route: held.append(route))
    chat.page.locator("#composer-project").select_option(str(project.pk))
    chat.page.wait_for_timeout(50)
    chat.page.locator("#model-button").click()
    chat.page.keyboard.type("big model")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("#composer-model")).to_have_value(ABROAD)
    with chat.page.expect_response(lambda response: f"model={ABROAD}" in response.url):
        chat.page.wait_for_timeout(50)
        held[-1].continue_()
    expect(chat.page.locator("[data-model-chosen]")).to_have_text("Big Model")
    expect(chat.page.locator("#composer-project")).to_have_value(str(project.pk))
    chat.ask("hello")
    expect(chat.wait_for().locator(".message-model")).to_have_text("Big Model")


def test_what_the_new_project_forbids_does_not_stay_chosen(arrive, careful):
    person, project = careful
    stay_here(project)
    chat = arrive(user=person, expected=("htmx:sendAbort",))
    held = []
    chat.page.route("**/?project=*", lambda route: held.append(route))
    chat.page.locator("#composer-project").select_option(str(project.pk))
    chat.page.wait_for_timeout(50)
    chat.page.locator("#composer-model").select_option(ABROAD)
    with chat.page.expect_response(lambda response: f"model={ABROAD}" in response.url):
        chat.page.wait_for_timeout(50)
        held[-1].continue_()
    expect(chat.page.locator("#composer-model")).to_have_value("")
    expect(chat.page.locator("#policy-note")).to_contain_text("Big Model is not allowed here")
