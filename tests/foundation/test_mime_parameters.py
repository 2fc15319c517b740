"""Parameters of headers that come in pieces. S12 sends them over sockets, as multipart too."""

import email.message

import pytest
from django.utils.http import parse_header_parameters

from foundation.mime_parameters import can_be_read

IN_PIECES = "form-data; filename*0=a; filename*1=b"
DOUBTFUL = ("a/b; x*0=a; x*=b", "a/b, c/d; x*=b; x*0=a", "a/b; charset*=nowhere''x", "a/b; x*0=a, c; x*=b")


def test_pieces_alone_are_put_together():
    assert parse_header_parameters(IN_PIECES)[1] == {"filename": "ab"}
    message = email.message.Message()
    message["content-type"] = "a/b; x*1=c; x*0=b"
    assert message.get_params()[1] == ("x", "bc")


@pytest.mark.parametrize("value", DOUBTFUL)
def test_what_comes_whole_and_in_pieces_is_a_value_error_that_django_knows(value):
    assert not can_be_read(value)
    with pytest.raises(ValueError, match=r"whole and in pieces|RFC 2231"):
        parse_header_parameters(value)


@pytest.mark.parametrize(
    "value", ["", "*/*", "text/html, */*;q=0.8", IN_PIECES, "a/b; x*=utf-8''%e4", ";*=;"]
)
def test_what_clients_send_can_be_read(value):
    assert can_be_read(value)


@pytest.mark.django_db
@pytest.mark.parametrize("value", DOUBTFUL[:1])
def test_a_form_with_such_a_part_is_read_without_it(acme, bob, value):
    body = f"--B\r\nContent-Disposition: form-data; name=x; {value[5:]}\r\n\r\ny\r\n--B--\r\n"
    answer = acme.login_as(bob).post("/profile/", body.encode(), "multipart/form-data; boundary=B")
    assert answer.status_code == 200, "the page, with what is missing"
