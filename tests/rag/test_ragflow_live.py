"""The same against a real server: ATRIUM_TEST_RAGFLOW_URL and ATRIUM_TEST_RAGFLOW_KEY name an account that
may be written in. What it makes there it removes.
"""

import os
import time
from urllib.parse import urlsplit

import pytest

from rag.intake import add_file
from rag.ragflow import add_account, check_account
from rag.searching import search_now
from rag.services import delete_collection
from tests.rag.test_ragflow import HANDBOOK, work_through
from tests.rag.works import bring

URL = os.environ.get("ATRIUM_TEST_RAGFLOW_URL", "")
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(not URL, reason="no RAGFlow server"),
]


@pytest.mark.timeout(600)
def test_a_document_is_read_found_and_gone_again(settings, make_collection, bob):
    settings.PRIVATE_RAGFLOW = frozenset({urlsplit(URL).hostname})
    account = add_account(actor=None, base_url=URL, secret=os.environ["ATRIUM_TEST_RAGFLOW_KEY"])
    check_account(actor=None, account=account)
    collection = make_collection("Live", engine="ragflow")
    try:
        document, _new = add_file(actor=None, collection=collection, file=bring(HANDBOOK))
        for _look in range(100):
            work_through(1)
            document.refresh_from_db()
            if document.state not in ("waiting", "reading"):
                break
            time.sleep(3)
        assert (document.state, document.why) == ("ready", "")
        found = search_now(bob, "How much leave has the lighthouse keeper?", collections=[collection])
        assert "thirty days" in found.hits[0].text and not found.trace.gaps
    finally:
        delete_collection(actor=None, collection=collection)
        work_through()
