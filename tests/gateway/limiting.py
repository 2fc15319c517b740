"""Limits of a living house's tenant: set, run into, and waited for."""

import time

import httpx

from accounts.services import set_limit
from tenants.context import tenant
from tenants.provisioning.plans import set_plan

HEARD_S = 20.0  # patience with the notification; within one second is shown by test_snapshot_listener
RPM, TPM, TPD, AT_ONCE = "requests_per_minute", "tokens_per_minute", "tokens_per_day", "calls_at_once"


def ask(place, model: str = "mock", **body) -> httpx.Response:
    return place.house.post(
        {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100, **body},
        headers={"Authorization": f"Bearer {place.text}"},
        slug="live-one",
    )


def eventually(condition) -> None:
    """Within the time that hearing a notification may take."""
    end = time.monotonic() + HEARD_S
    while not condition():
        assert time.monotonic() < end, "the change was never heard"
        time.sleep(0.02)


def model_id(place, name: str = "mock"):
    from accounts.objects import get_object

    return get_object("model", name).id


def bound(place, level: str, measure: str, amount: int) -> None:
    if level == "plan":
        set_plan(name=place.slug, **{measure: amount})
        return
    with tenant(place.slug):
        subject = {
            "tenant": None,
            "project": place.project.pk,
            "user": place.person.pk,
            "key": place.key.pk,
            "model": model_id(place) if level == "model" else None,
        }[level]
        set_limit(actor=None, level=level, subject_id=subject, measure=measure, amount=amount)
