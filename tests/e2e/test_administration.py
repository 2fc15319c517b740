"""The administration in a browser: by the keyboard alone, and a form with many fields."""

import re

from playwright.sync_api import expect

from accounts.models import Limit
from accounts.services import create_api_key
from models_registry.models import Model
from models_registry.services import add_connection, add_model
from tests.live import TENANTS
from tests.prompts.visitor import make_person

IS_UNCOVERED = """box => {
  box.scrollIntoView({block: "center"});
  const {left, top, height} = box.getBoundingClientRect();
  return document.elementFromPoint(left + 8, top + height / 2) === box;
}"""


def test_the_keyboard_reaches_the_palette_and_log_out(arrive):
    chat = arrive(role="owner", path="/admin/")
    page = chat.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    search = page.locator("#nav-sidebar").get_by_role("button", name="Search")
    search.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#cmd-input, input[name=s]").first).to_be_visible()
    page.keyboard.press("Escape")
    mine = page.locator(".user-links-button")
    mine.focus()
    page.keyboard.press("Enter")
    expect(mine).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/accounts/login/"))


def test_a_narrow_window_has_room_for_the_objects_name(arrive):
    row = add_connection(actor=None, name="Connection to the second house", kind="openai", secret="x")
    path = f"/admin/models_registry/connection/{row.pk}/change/"
    page = arrive(role="owner", path=path, viewport={"width": 390, "height": 844}).page
    crumbs = page.locator("h1 a.crumb, h1 span.crumb")
    expect(crumbs.last).to_have_text("Connection to the second house")
    assert [crumb.is_visible() for crumb in crumbs.all()][-1:] == [True]
    assert sum(crumb.is_visible() for crumb in crumbs.all()) == 1
    page.set_viewport_size({"width": 1024, "height": 800})
    expect(crumbs.first).to_be_visible()


def test_a_price_is_seen_whole_while_it_is_typed(arrive):
    row = Model.objects.filter(name="priced-by-hand").first()
    if row is None:
        line = add_connection(actor=None, name="Prices", kind="openai", secret="x")
        row = add_model(actor=None, connection=line, name="priced-by-hand")
    path = f"/admin/models_registry/model/{row.pk}/change/"
    page = arrive(role="owner", path=path, viewport={"width": 1440, "height": 900}).page
    page.get_by_role("button", name="Add price").click()
    fields = page.locator("#prices-group .form-group.template:not(.empty-form) input[placeholder]")
    expect(fields.first).to_be_visible()
    for field in fields.all():
        field.fill("12.3456")
        seen = field.evaluate("box => [box.scrollWidth, box.clientWidth, box.getBoundingClientRect().right]")
        assert seen[0] <= seen[1] and seen[1] >= 180 and seen[2] <= 1440
        assert field.evaluate(IS_UNCOVERED)


def test_a_limits_key_is_chosen_by_the_keyboard(arrive):
    chat = arrive(role="owner", path="/admin/accounts/limit/add/")
    page, keyboard = chat.page, chat.page.keyboard
    key, _text = create_api_key(actor=None, user=make_person(TENANTS[0]), name="Night report")
    page.wait_for_load_state("load")  # what is written meanwhile may take the focus
    page.locator("#id_level").select_option("key")
    (box := page.locator(".field-key .select2-selection")).focus()
    expect(box).to_be_focused()
    keyboard.press("Enter")
    expect(page.locator(".select2-search__field")).to_be_focused()
    keyboard.type("night rep")
    expect(page.locator(".select2-results__option--highlighted")).to_have_text(key.name_with_owner)
    keyboard.press("Enter")
    expect(page.locator("#id_key")).to_have_value(str(key.pk))
    page.locator("#id_amount").fill("60")
    keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/admin/accounts/limit/$"))
    assert Limit.objects.get(key=key).amount == 60


def test_what_is_checked_looks_checked(arrive):
    """Ground and sign: both once were those of an empty box."""
    person = make_person(TENANTS[0])
    page = arrive(role="owner", path=f"/admin/accounts/user/{person.pk}/change/").page
    boxes = page.locator("input[name=roles]")
    looks = boxes.evaluate_all(
        """boxes => boxes.map(box => [box.checked, getComputedStyle(box).backgroundColor,
                                      getComputedStyle(box, "::after").maskImage.includes("M20 6 9 17")])"""
    )
    grounds = {is_checked: ground for is_checked, ground, _sign in looks}
    assert len(grounds) == 2 and grounds[True] != grounds[False]
    assert all(is_sign for is_checked, _ground, is_sign in looks if is_checked)


# what a style sheet writes before and after every element of the page
WRITTEN_BY_STYLES = """() => [...document.querySelectorAll("body, body *")].flatMap(element =>
  ["::before", "::after"].map(part => getComputedStyle(element, part).content)
    .filter(content => /^"[a-z]+(_[a-z]+)*"$/.test(content)))"""


def test_no_icon_is_a_word(arrive):
    """Unfold's font would draw names of icons; it is not served."""
    connection = add_connection(actor=None, name="Signs", kind="openai", secret="x")
    add_model(actor=None, connection=connection, name="signs", label="Donaudampfschifffahrt" * 5)
    path = "/admin/models_registry/connection/add/"
    page = arrive(role="owner", path=path, expected=("400",)).page
    page.locator("#id_name").fill("Wrong")
    page.locator("#id_base_url").fill("not an address")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    expect(page.locator("#id_base_url")).to_be_focused()  # the first field in error is at hand
    assert page.evaluate(WRITTEN_BY_STYLES) == []
    page.goto(page.url.replace("connection/add/", "model/"))
    page.set_viewport_size({"width": 1440, "height": 900})
    last = page.locator("#result_list thead th").last.bounding_box()
    assert last["x"] + last["width"] <= 1440, "a long name pushes no column out of a list"
    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()
    arrow = page.locator("#changelist-filter .select2-selection__arrow").first
    expect(arrow).to_be_visible()
    assert page.evaluate(WRITTEN_BY_STYLES) == []
    assert page.locator("#changelist-filter .select2-container ~ .icon:visible").count() == 0
    page.locator("#changelist-filter .select2-selection").first.click()
    expect(page.locator(".select2-results__option").first).to_be_visible()
    assert page.evaluate(WRITTEN_BY_STYLES) == []
