"""`manage.py collection`: a folder comes in, is found and goes."""

import json

import pytest
from django.core.management import CommandError

from rag.models import Document
from tenants.context import tenant
from tenants.files.models import File
from tests.conftest import manage
from tests.rag.works import work_off

pytestmark = [pytest.mark.django_db, pytest.mark.scope(None)]


def test_a_folder_comes_in_is_found_and_goes(tmp_path, cast):
    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "rules.txt").write_text("Moor by the lighthouse.")
    (tmp_path / "rules.txt").write_text("Moor by the crane.")
    (tmp_path / "empty.txt").touch()
    (tmp_path / ".hidden").write_text("secret")
    here = ("--tenant", "acme", "Harbour")
    manage("collection", "create", *here, "--language", "en")
    with pytest.raises(CommandError):
        manage("collection", "create", *here)
    for person in ("bob", "alice"):  # one is not allowed to; of the other's, one file is empty
        with pytest.raises(CommandError, match="Not all"):
            manage("collection", "add", *here, str(tmp_path), "--as", f"{person}@acme.example")
    with tenant("acme"):
        assert sorted(Document.objects.values_list("address", flat=True)) == ["north/rules.txt", "rules.txt"]
        assert {row.created_by for row in Document.objects.all()} == {cast.alice.pk}
        assert File.objects.count() == 2, "nothing stays of what was refused"
        work_off()
    (found,) = json.loads(manage("collection", "search", *here, "lighthouse", "--json"))
    assert found["text"] == "Moor by the lighthouse."
    assert json.loads(manage("collection", "show", *here, "--json"))["documents"] == {"ready": 2}
    with pytest.raises(CommandError, match="--yes"):
        manage("collection", "delete", *here)
    manage("collection", "delete", *here, "--yes")
    assert json.loads(manage("collection", "list", "--tenant", "acme", "--json")) == []
