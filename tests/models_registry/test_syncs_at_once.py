"""Two who give names to models at once: the second waits, and finds what the first has taken."""

import threading
import time

import pytest
from django.db import connection, connections, transaction

from models_registry import services
from models_registry.models import Model
from tenants.context import owner, tenant
from tenants.provisioning.services import create_tenant, drop_schema

pytestmark = pytest.mark.scope(None)
SLUG = "syncs"
PATIENCE_S = 30
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def links(unblocked, provider):
    create_tenant(slug=SLUG, name=SLUG, host=f"{SLUG}.localhost", plan="unlimited")
    try:
        with tenant(SLUG):
            yield [
                services.add_connection(
                    actor=None, name=name, kind="vllm", base_url=provider.base_url, allow_private=True
                )
                for name in ("One", "Two")
            ]
    finally:
        drop_schema(SLUG)


def sync(link):
    return services.sync_catalogue(actor=None, connection=link)


def rename_to_small(link):
    row = services.add_model(actor=None, connection=link, name="mine", upstream_name="mine")
    services.set_model(actor=None, model=row, name="small")


class Other(threading.Thread):
    """Does something in the tenant; `error` is what came of it."""

    error: Exception | None = None

    def __init__(self, work) -> None:
        super().__init__()
        self._work = work
        self.start()

    def run(self) -> None:
        try:
            with tenant(SLUG):
                self._work()
        except Exception as exc:
            self.error = exc
        finally:
            connection.close()

    def wait_until_it_waits(self) -> None:
        """For us: until a statement of its waits for a lock."""
        end_s = time.monotonic() + PATIENCE_S
        while self.is_alive() and time.monotonic() < end_s:
            with owner(), connections["owner"].cursor() as cursor:
                cursor.execute(WAITING)
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.02)
        raise AssertionError(f"it did not wait: {self.error}")


@pytest.mark.parametrize("first", [sync, rename_to_small], ids=["a sync", "a new name"])
def test_the_second_of_two_syncs_prefixes_what_the_first_has_taken(links, first):
    one, two = links
    with transaction.atomic():
        first(one)
        other = Other(lambda: sync(two))
        other.wait_until_it_waits()
    other.join(PATIENCE_S)
    assert other.error is None
    names = set(Model.objects.filter(connection=two).values_list("name", flat=True))
    assert names == ({"two/small", "two/large"} if first is sync else {"two/small", "large"})


def test_a_model_that_is_added_meanwhile_is_refused_in_words(links):
    one, two = links
    with transaction.atomic():
        sync(one)
        other = Other(lambda: services.add_model(actor=None, connection=two, name="small"))
        other.wait_until_it_waits()
    other.join(PATIENCE_S)
    assert type(other.error).__name__ == "ValidationError"
