"""Links in answers: which texts become one, and that each says where it leads."""

import re

import pytest

from prompts.links import MAX_ADDRESS_CHARS
from prompts.rendering import GrowingText, render_markdown


def links_of(text: str) -> list[tuple[str, str]]:
    """(address, what is shown) of each link."""
    return re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', render_markdown(text))


BARE = [  # (text, addresses)
    ("See https://docs.example/a_b_c*d.", ["https://docs.example/a_b_c*d"]),
    ("(http://docs.example/x_(y))", ["http://docs.example/x_(y)"]),
    ("**https://docs.example/**", ["https://docs.example/"]),
    ("HTTPS://docs.example", ["HTTPS://docs.example"]),
    ("https://docs.example/a，谢谢", ["https://docs.example/a"]),
    ("请看https://docs.example。", ["https://docs.example"]),
    ("xhttps://docs.example and ahttp://docs.example", []),
    ("Write to max.m@mail.example, or call.", ["mailto:max.m@mail.example"]),
    ("first_last@mail.example", ["mailto:first_last@mail.example"]),
    ("javascript://docs.example/%0aalert(1)", []),
    ("ftp://docs.example/ and //docs.example and file:///etc/passwd", []),
    ("main.py, README.md, docs.example and a@b", []),
    ("`https://docs.example`", []),
    ("[https://a.example/](https://docs.example/)", ["https://docs.example/"]),
    ("http:// and https://", []),
]


@pytest.mark.parametrize(("text", "addresses"), BARE)
def test_a_bare_address_becomes_a_link(text, addresses):
    assert [address for address, _shown in links_of(text)] == addresses


def test_a_bare_address_shows_itself_and_hides_nothing():
    html = render_markdown("https://docs.example/a?b=c and max@mail.example")
    assert ">https://docs.example/a?b=c</a>" in html and ">max@mail.example</a>" in html
    assert "link-host" not in html and html.count('rel="noopener noreferrer nofollow"') == 2
    assert "(evil.example)" in render_markdown("https://bank.example@evil.example/")
    assert "(xn--" in render_markdown("https://b\u0430nk.example/"), "a letter that looks like another"


def test_an_address_that_is_still_written_is_a_link_as_far_as_it_goes():
    growing = GrowingText()
    assert 'href="https://docs.ex"' in growing.grow("https://docs.ex")[1]
    assert 'href="https://docs.example/a"' in growing.grow("ample/a")[1]


def test_an_address_of_any_length_ends():
    (address, _shown), *rest = links_of(f"https://docs.example/{'a' * 5_000}")
    assert len(address) == MAX_ADDRESS_CHARS and not rest


def test_links_show_their_host_and_keep_no_referrer():
    html = render_markdown("[click](https://evil.example/x)")
    assert 'rel="noopener noreferrer nofollow"' in html and "(evil.example)" in html
    assert "link-host" not in render_markdown("[docs.example](https://docs.example/)")


def test_a_picture_becomes_a_link():
    html = render_markdown("![Chart](https://pictures.example/a.png)")
    assert "<img" not in html and ">Chart</a>" in html and "(pictures.example)" in html


SHOWN = [  # (text of a link, address, whether the host is named behind it)
    ("https://bank.example", "https://bank.example/", False),
    ("bank.example", "https://bank.example/", False),
    ("https://bank.example/a?b=c", "https://bank.example/a?b=c", False),
    ("the bank", "https://bank.example/", True),
    ("https://evil.example.bank.example", "https://evil.example/", True),
    ("https://bank.example/?to=evil.example", "https://evil.example/", True),
    ("evil.example is not where this leads", "https://evil.example/", True),
    ("https://bank.example@evil.example", "https://evil.example/", True),
    ("notevil.example", "https://evil.example/", True),
    ("https://bank.example/evil.example", "https://evil.example/x", True),
    ("https://bank.example/a b", "https://bank.example/a%20b", False),
    ("https://bank.example/@evil.example", "https://bank.example%2f@evil.example", True),
    ("https://bank.example", "http:evil.example", True),
    ("https://bank.example", "https:/evil.example", True),
    ("https://bank.example", "https:///evil.example", True),
    ("https://bank.example", "//evil.example", True),
    ("https://bank.example@evil.example", "https://bank.example@evil.example", True),
]


@pytest.mark.parametrize(("text", "address", "is_named"), SHOWN)
def test_a_link_names_its_host_unless_its_text_is_the_address(text, address, is_named):
    html = render_markdown(f"[{text}]({address})")
    assert ('class="link-host"' in html) is is_named


def test_an_address_alone_with_a_name_before_its_host_says_where_it_leads():
    assert ">(evil.example)<" in render_markdown("<https://bank.example@evil.example/>")


def test_a_mailbox_that_hides_behind_another_is_named():
    hidden = render_markdown("[bank@bank.example](mailto:evil@evil.example?subject=x)")
    assert "(evil@evil.example)" in hidden
    assert "link-host" not in render_markdown("[evil@evil.example](mailto:evil@evil.example)")
