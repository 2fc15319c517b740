"""One of everything in a tenant (and on the platform), for tests of pages and of the API: rows made
through the services where there are any.
"""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import User
from accounts.services import (
    create_api_key,
    create_project,
    create_role,
    create_user,
    grant,
    set_limit,
    set_project_member,
)
from foundation.ids import uuid7
from models_registry.services import add_connection, add_model, set_model_price
from prompts.models import Conversation
from rag.changes import save_question
from rag.intake import add_file
from rag.models import RagflowAccount
from rag.ragflow import add_account
from rag.services import create_collection
from rag.uploads import begin as begin_upload
from tenants.context import platform
from tenants.files.models import Blob, File
from tenants.local.models import WebOrigin
from tenants.models import Domain, Plan, Tenant
from tenants.work.services import order
from tests import work_kinds
from tests.prompts.chats import add_turns, say
from usage.models import Budget, UsageEvent
from usage.platform.models import TenantSum
from usage.services import ensure_plan_budget, set_budget

ROLES = ("user", "ai_developer", "auditor", "billing", "admin", "owner")
# a port where nobody answers
PROVIDER = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:50009/v1", "allow_private": True}


def make_people(slug: str) -> dict[str, User]:
    """One person per role, besides the cast. Call inside the tenant's scope."""
    people = {
        role: User.objects.filter(groups__name=role).first()
        or create_user(actor=None, email=f"{role}@{slug}.example", name=role.title(), roles=[role])
        for role in ROLES
    }
    # making a hash takes long
    User.objects.filter(pk__in=[person.pk for person in people.values()]).update(
        password=people["owner"].password
    )
    return {role: User.objects.get(pk=person.pk) for role, person in people.items()}


def make_estate(owner: User, canary: str = "canary") -> SimpleNamespace:
    """One of everything that belongs to `owner` or to the tenant; its texts hold the canary. Call inside the
    tenant's scope.
    """
    plain = "".join(character for character in canary if character.isalnum() or character == "-")
    project = create_project(actor=None, name=f"Project {canary}")
    member = set_project_member(actor=None, project=project, user=owner, role="editor")
    key, key_text = create_api_key(
        actor=None, user=owner, name=f"Key {canary}", project=project, scopes=["inference", "read", "manage"]
    )
    role = create_role(actor=None, name=f"Role {canary}", permissions=[])
    connection = add_connection(actor=None, name=f"Connection {canary}", secret=f"sk-{plain}", **PROVIDER)
    model = add_model(actor=None, connection=connection, name=f"model-{plain}", upstream_name="up")
    price = set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(4))
    conversation = Conversation.objects.create(
        user=owner, title=f"Title {canary}", model_name="mock", last_message_at=timezone.now()
    )
    question, answer = add_turns(conversation, 1)
    say([question, answer], f"Text {canary}")
    event = make_event(owner, key_id=key.pk, project_id=project.pk)
    budget = set_budget(actor=None, level="tenant", limit=Decimal(100))
    right = grant(actor=None, kind="model", target=model.pk, project=project)
    limit = set_limit(actor=None, level="tenant", measure="tokens_per_day", amount=1_000_000)
    user_limit = set_limit(
        actor=None, level="user", subject_id=owner.pk, measure="requests_per_minute", amount=600
    )
    plan_budget = ensure_plan_budget(Decimal(500))
    collection = create_collection(actor=None, name=f"Collection {canary}")
    document, _is_new = add_file(actor=None, collection=collection, file=make_file(owner, name=f"D {canary}"))
    saved_question = save_question(actor=None, collection=collection, text=f"Q {canary}", document=document)
    own_collection = create_collection(actor=owner, name=f"Own {canary}", owner_id=owner.pk)
    upload = begin_upload(
        actor=owner, collection=None, name=f"Upload {canary}", declared_type="", size_bytes=1
    )
    origin = WebOrigin.objects.get_or_create(origin=f"https://{plain}.example.org")[0]
    return SimpleNamespace(
        user=owner,
        origin=origin,
        collection=collection,
        document=document,
        ragflow=RagflowAccount.objects.first()
        or add_account(
            actor=None,
            base_url="https://ragflow.example.org",
            secret=f"ragflow-{plain}",
            embedding_model=canary,
        ),
        saved_question=saved_question,
        own_collection=own_collection,
        work=order(work_kinds.NOTE, uuid7()),
        upload=upload,
        file=make_file(owner, name=f"File {canary}"),
        project=project,
        member=member,
        key=key,
        key_text=key_text,
        role=role,
        connection=connection,
        model=model,
        price=price,
        event=event,
        conversation=conversation,
        question=question,
        answer=answer,
        budget=budget,
        right=right,
        limit=limit,
        user_limit=user_limit,
        plan_budget=plan_budget,
        owner_role=Group.objects.get(name="owner"),
        entry=LogEntry.objects.order_by("-pk").first(),
    )


def make_file(owner: User, **changes) -> File:
    """A file whose bytes are nowhere."""
    digest = uuid7().hex * 2
    blob = Blob.objects.create(state=Blob.State.STORED, size_bytes=1_500, sha256=digest)
    facts = {"name": "a.pdf", "sniffed_type": "application/pdf", "purpose": "user_data"}
    return File.objects.create(owner=owner, blob=blob, size_bytes=1_500, sha256=digest, **facts | changes)


def make_event(user: User | None, **changes) -> UsageEvent:
    """A bill as the ledger books it."""
    now = timezone.now() - timedelta(minutes=1)
    facts = {
        "source": "api",
        "user_id": user and user.pk,
        "model": "mock",
        "model_version": "",
        "deployment": "",
        "endpoint": "",
        "upstream_model": "up",
        "trace_id": "",
        "request_id": uuid7(),
        "input_tokens": 10,
        "output_tokens": 5,
        "cost": Decimal("0.5"),
        "currency": "EUR",
        "latency_ms": 100,
        "status": "ok",
        "error_code": "",
        "booked_at": now,
        "created_at": now,
        "price_snapshot": {},
    }
    return UsageEvent.objects.create(**facts | changes)


def make_platform_estate(operator: User) -> SimpleNamespace:
    """One of everything on the platform."""
    with platform():
        connection = add_connection(actor=None, name="Platform connection", **PROVIDER)
        model = add_model(actor=None, connection=connection, name="platform-model")
        price = set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(4))
        day = TenantSum.objects.create(
            slug="acme",
            day=timezone.now().date(),
            currency="EUR",
            calls=3,
            errors=1,
            tokens=40,
            cost=Decimal("1.5"),
        )
        tenant = Tenant.objects.get(slug="acme")
        second = Domain.objects.create(domain="chat.acme.example", tenant=tenant, is_primary=False)
        return SimpleNamespace(
            operator=operator,
            connection=connection,
            model=model,
            price=price,
            day=day,
            tenant=tenant,
            domain=second,
            work=order(work_kinds.NOTE, uuid7()),
            plan=Plan.objects.first(),
            entry=LogEntry.objects.order_by("-pk").first(),
            budget=Budget,
        )
