"""Pages that take files take larger bodies, of those who are logged in; all others keep their limit."""

import httpx
import pytest

from accounts.models import User
from tenants.context import Scope, tenant
from tests.live import TENANTS, house_with_bug
from tests.proof.walking import session_of

pytestmark = pytest.mark.scope(None)
HOST = f"{TENANTS[0]}.localhost"
MOST = 4 * 1024**2
REGISTER = (
    "from tenants.files.paths import upload_path\n"
    "upload_path(r'/profile/', most_bytes=4 * 1024**2)\n"
    "upload_path(r'/(accounts/login|keys)/', most_bytes=4 * 1024**2)\n"
)
PASSED = (200, 400, 403)  # Django has read it: the form's token is missing


@pytest.fixture(scope="module")
def taking(house, django_db_blocker):
    """A house in which the profile takes files; the session of one of its people."""
    with django_db_blocker.unblock():
        with tenant(TENANTS[0]):
            erin = User.objects.get(email=f"erin@{TENANTS[0]}.example")
        session = {
            name: value
            for name, value in session_of(HOST, Scope("tenant", TENANTS[0]), erin).items()
            if name != "X-CSRFToken"
        }
        with house_with_bug(house, REGISTER) as other:
            yield other, session


def send(house, path: str, size: int, headers: dict[str, str], *, is_chunked: bool = False) -> httpx.Response:
    form = {"Host": HOST, "Content-Type": "multipart/form-data; boundary=b"} | headers
    rest = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    end = b"\r\n--b--\r\n"
    body = rest + b"x" * (size - len(rest) - len(end)) + end
    content = iter([body[:1_000_000], body[1_000_000:]]) if is_chunked else body
    return httpx.post(f"http://127.0.0.1:{house.port}{path}", headers=form, content=content, timeout=30)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_page_that_takes_files_takes_as_much_as_it_says(taking, is_chunked):
    house, session = taking
    for size, is_let_in in ((MOST, True), (MOST + 65_536, True), (MOST + 65_537, False)):
        answer = send(house, "/profile/", size, session, is_chunked=is_chunked)
        assert answer.status_code in PASSED if is_let_in else answer.status_code == 413, answer.status_code
    assert "larger than 4 MB" in answer.text, "as it was typed, and without the rim"


def test_strangers_and_other_pages_keep_the_limit_of_all(taking):
    house, session = taking
    assert send(house, "/profile/", 3_000_000, {}).status_code == 413
    assert send(house, "/profile/", 3_000_000, {"Cookie": session["Cookie"][:-3] + "abc"}).status_code == 413
    assert send(house, "/usage/", 3_000_000, session).status_code == 413
    elsewhere = {"Host": f"{TENANTS[1]}.localhost"} | session
    assert send(house, "/profile/", 3_000_000, elsewhere).status_code == 413


def test_the_plan_may_allow_less(taking, unblocked):
    from tenants.provisioning.plans import set_plan

    house, session = taking
    set_plan(name="unlimited", largest_file_bytes=2_600_000)
    try:
        assert send(house, "/profile/", 2_700_000, session).status_code == 413
        assert send(house, "/profile/", 2_600_000, session).status_code in PASSED
    finally:
        set_plan(name="unlimited", largest_file_bytes=None)


def test_no_more_large_bodies_at_once_than_there_are_places(house, taking):
    _other, session = taking
    with house_with_bug(house, REGISTER + "import config.intake as i; i.LARGE_PLACES = 0\n") as full:
        assert send(full, "/profile/", 3_000_000, session).status_code == 503
        assert send(full, "/profile/", 2_000_000, session).status_code in PASSED
