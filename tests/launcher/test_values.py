"""Values from pipes and files, with every kind of line end, each through what reads it."""

import io
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from accounts.models import User
from config.settings import env
from foundation.errors import InvalidInput
from launcher.errors import ServiceError
from launcher.process_plan import read_environment
from models_registry.command_line import read_key
from tenants.context import platform, tenant
from tenants.provisioning.services import drop_schema

ENDS = ["", "\n", "\r\n", "\r"]
PASSWORD = " correct horse battery staple "


def pipe(text: str) -> io.TextIOWrapper:
    """As Python opens the standard input of a program: without a view of its own on line ends."""
    return io.TextIOWrapper(io.BytesIO(text.encode()), newline="\n")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.django_db
@pytest.mark.scope(None)
def test_an_operators_password_is_what_stands_before_the_line_end(monkeypatch, end):
    monkeypatch.setattr("sys.stdin", pipe(PASSWORD + end))
    call_command("operator", "create", "piped@atrium.example", "--password-stdin")
    with platform():
        assert User.objects.get(email="piped@atrium.example").check_password(PASSWORD)


@pytest.mark.scope(None)
def test_so_is_a_tenants_owners(monkeypatch, unblocked):
    monkeypatch.setattr("sys.stdin", pipe(PASSWORD + "\r\n"))
    owner = "ada@piped.example"
    try:
        call_command("tenant", "create", "piped", "--owner", owner, "--password-stdin")
        with tenant("piped"):
            assert User.objects.get(email=owner).check_password(PASSWORD)
    finally:
        drop_schema("piped")


@pytest.mark.parametrize("end", [*ENDS, "\n\n", " \r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_give_the_value_alone(monkeypatch, tmp_path: Path, mark, end):
    path = tmp_path / "value"
    path.write_bytes(f"{mark}sk-1234{end}".encode())
    monkeypatch.setenv("ATRIUM_SECRET_KEY_FILE", str(path))
    assert env.read("ATRIUM_SECRET_KEY") == read_environment("ATRIUM_SECRET_KEY") == "sk-1234"
    assert read_key({"api_key_env": None, "api_key_file": str(path)}).reveal() == "sk-1234"


def test_what_is_no_text_is_refused_in_words(monkeypatch, tmp_path: Path):
    path = tmp_path / "value"
    path.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("ATRIUM_SECRET_KEY_FILE", str(path))
    for read, error in ((env.read, ImproperlyConfigured), (read_environment, ServiceError)):
        with pytest.raises(error, match="not text"):
            read("ATRIUM_SECRET_KEY")
    for content in (b"\xff\xfe\x00", "schlüssel".encode()):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="not plain text"):
            read_key({"api_key_env": None, "api_key_file": str(path)})
