"""Coming in, choosing language and appearance, making a key, entering the administrations."""

import re

import pytest
from playwright.sync_api import expect

from accounts.models import User
from accounts.services import create_user
from models_registry.services import add_connection, add_model, remove_connection
from tenants.context import platform
from tests.cast import PASSWORD
from tests.e2e.conftest import SLUG
from tests.estate import PROVIDER


def fill_in(page, email: str, password: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()


@pytest.fixture
def walter():
    """Somebody with a password."""
    person = User.objects.filter(email="walter@live-one.example").first()
    return person or create_user(
        actor=None, email="walter@live-one.example", name="Walter Weiß", password=PASSWORD, roles=["user"]
    )


def test_logging_in_and_out(arrive, walter):
    chat = arrive(is_known=False, path="/keys/")
    expect(chat.page).to_have_url(re.compile(r"/accounts/login/\?next=/keys/$"))
    for email, password in (
        (walter.email, "wrong"),
        ("nobody@live-one.example", PASSWORD),
        ("olga@atrium.example", PASSWORD),
    ):
        fill_in(chat.page, email, password)
        expect(
            chat.page.get_by_role("alert")
            .or_(chat.page.locator(".form-errors, .errorlist, [class*=error]"))
            .first
        ).to_be_visible()
        expect(chat.page).to_have_url(re.compile("/accounts/login/"))
    fill_in(chat.page, walter.email.upper(), PASSWORD)
    expect(chat.page).to_have_url(re.compile("/keys/$"))
    chat.page.locator(".person-button").click()
    chat.page.get_by_role("button", name="Log out").click()
    chat.go("/")
    expect(chat.page).to_have_url(re.compile("/accounts/login/"))


def test_the_language_changes_at_once_and_stays(arrive):
    chat = arrive()

    def choose(one, label: str, lang: str) -> None:
        one.page.locator(".person-button").click()
        one.page.locator("#person-menu").get_by_role("button", name=label, exact=True).click()
        expect(one.page.locator("html")).to_have_attribute("lang", lang)

    for label, lang in (("中文", "zh-hans"), ("Deutsch", "de")):
        choose(chat, label, lang)
    chat.go("/keys/")
    expect(chat.page.locator("html")).to_have_attribute("lang", "de")
    elsewhere = arrive(user=chat.person)
    expect(elsewhere.page.locator("html")).to_have_attribute("lang", "de")
    elsewhere.ask("hello")
    elsewhere.wait_for()
    choose(elsewhere, "English", "en")


def brightness(chat) -> float:
    """Of the page's background, from 0 to 255."""
    return chat.page.evaluate("""() => {
        const canvas = document.createElement("canvas").getContext("2d");
        for (const element of [document.documentElement, document.body]) {
            canvas.fillStyle = getComputedStyle(element).backgroundColor;
            canvas.fillRect(0, 0, 1, 1);
        }
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return (r + g + b) / 3;
    }""")


def test_the_appearance_changes_at_once_and_stays(arrive):
    chat = arrive()
    assert brightness(chat) > 200
    chat.page.locator(".person-button").click()
    chat.page.locator("#person-menu").get_by_role("button", name="Dark").click()
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness(chat) < 80
    chat.page.reload()
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness(chat) < 80
    as_the_device = arrive(color_scheme="dark")
    assert brightness(as_the_device) < 80, "nothing chosen: like the device"


def test_a_new_key_is_shown_once(arrive):
    chat = arrive(path="/keys/", permissions=["clipboard-read", "clipboard-write"])
    chat.page.get_by_role("button", name="Create key").first.click()
    dialog = chat.page.get_by_role("dialog", name="New API key")
    dialog.get_by_label("Name", exact=True).fill("My script")
    dialog.get_by_role("button", name="Create key").click()
    text = chat.page.locator("#key-text").inner_text()
    assert re.fullmatch(rf"atr_{SLUG}_[\w-]{{8}}_[\w-]{{43}}", text)
    expect(chat.page.get_by_role("region", name="“My script” is ready")).to_be_focused()
    chat.page.get_by_role("button", name="Copy").click()
    expect(chat.page.locator("#announcer")).to_have_text("Copied")
    assert chat.page.evaluate("navigator.clipboard.readText()") == text
    chat.go("/keys/")
    expect(chat.page.get_by_role("row", name=re.compile("My script"))).to_be_visible()
    assert text not in chat.page.content() and text.rpartition("_")[2] not in chat.page.content()

    chat.page.get_by_role("button", name="Revoke …").click()
    chat.page.get_by_role("dialog", name="Revoke this key?").get_by_role("button", name="Revoke key").click()
    expect(chat.page.get_by_role("row", name=re.compile("My script"))).to_contain_text("Revoked")


@pytest.fixture
def many_models():
    """So many that the form for a key lets people search them."""
    connection = add_connection(actor=None, name="Many", **PROVIDER)
    yield [
        add_model(actor=None, connection=connection, name=f"vendor/choice-{number}") for number in range(9)
    ]
    remove_connection(actor=None, connection=connection, force=True)


def test_the_models_of_a_key_are_found_by_typing(arrive, many_models):
    page = arrive(path="/keys/").page
    page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog", name="New API key")
    field, none = dialog.get_by_label("Search models"), dialog.get_by_text("No model matches.")
    shown = dialog.locator("[name=model_names]:visible")
    whole = shown.count()
    dialog.get_by_label("vendor/choice-4").check()
    field.fill("CHOICE-7")
    expect(shown).to_have_count(2)  # that one and the one chosen, which counts
    expect(none).to_be_hidden()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement.matches('[name=model_names]')"):
        page.keyboard.press("Tab")  # a frame that scrolls may be on the way
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    field.fill("nothing is called this")
    expect(none).to_be_visible()
    expect(shown).to_have_count(2)
    field.press("Escape")
    expect(shown).to_have_count(whole)
    expect(none).to_be_hidden()
    dialog.get_by_label("Name", exact=True).fill("Narrow")
    field.fill("choice-1")
    dialog.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("row", name=re.compile("Narrow"))).to_contain_text(
        "vendor/choice-4, vendor/choice-7"
    )


def test_without_scripts_the_models_of_a_key_stand_there_whole(arrive, many_models):
    page = arrive(path="/keys/", java_script_enabled=False).page
    page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog", name="New API key")
    expect(dialog.get_by_label("vendor/choice-8")).to_be_visible()
    expect(dialog.get_by_label("Search models")).to_be_hidden()


def test_both_administrations_open_for_those_who_run_them(arrive, house):
    alice = arrive(role="owner", path="/admin/")
    expect(alice.page).to_have_url(re.compile("/admin/$"))
    expect(alice.page.locator("body")).to_contain_text("Users")
    bob = arrive(path=None, expected=("40[34]",))
    assert bob.page.goto(f"{bob.base_url}/admin/").status in (200, 302, 403, 404)
    expect(bob.page.locator("body")).not_to_contain_text("Users")
    olga = arrive(is_known=False, host="localhost", path="/admin/")
    with platform():
        operator = User.objects.get(email="olga@atrium.example")
    fill_in(olga.page, operator.email, PASSWORD)
    expect(olga.page).to_have_url(re.compile("/admin/$"))
    expect(olga.page.locator("body")).to_contain_text("Tenants")
