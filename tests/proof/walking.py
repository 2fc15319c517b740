"""Who walks, and over what: two tenants with one of everything in each, canaries in their texts, and callers
of every kind with what they must never see.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.test import Client

from accounts.services import create_api_key, create_user
from models_registry.services import add_connection, remove_connection
from prompts.models import Conversation, Message
from tenants.context import Scope, platform, tenant, use_scope
from tenants.models import Tenant
from tenants.provisioning.services import create_tenant
from tests.estate import PROVIDER, ROLES, make_estate, make_people
from tests.prompts.chats import say

OWN_OF_A_PERSON = ("conversation", "question", "answer")


@dataclass
class Caller:
    """Somebody at a host. `foreign`: what is not theirs, by its kind; `forbidden`: words they must not
    see.
    """

    name: str
    host: str
    headers: dict[str, str] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)
    foreign: dict[str, list[str]] = field(default_factory=dict)


def session_of(host: str, scope: Scope, user) -> dict[str, str]:
    client = Client(headers={"host": host})
    with use_scope(scope):
        client.force_login(user)
        session, token = client.session, uuid4().hex
        session["_csrftoken"] = token
        session.save()
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session.session_key}", "X-CSRFToken": token}


def _ids(estate: SimpleNamespace) -> dict[str, list[str]]:
    return {name: [str(row.pk)] for name, row in vars(estate).items() if hasattr(row, "pk")}


class World:
    """See the module. Everything is committed."""

    def __init__(self) -> None:
        mark = uuid4().hex[:6]
        self.a = f"walk-a-{mark}"
        self.b = f"walk-b-{mark}"
        self.shared = f"zqa{mark}shared"
        self.foreign_word = f"zqb{mark}foreign"
        self.private = f"zqp{mark}"
        self.key_name = f"zqk{mark}"
        self.platform_word = f"zqo{mark}"
        self.people: dict[str, dict] = {}
        self.estates = {
            self.a: self._furnish(self.a, self.shared),
            self.b: self._furnish(self.b, self.foreign_word),
        }
        self._name_what_is_one_persons()
        with platform():
            self.operator = create_user(
                actor=None, email=f"op-{mark}@atrium.example", name="Op", is_operator=True
            )
            self.connection = add_connection(actor=None, name=self.platform_word, **PROVIDER)

    def _furnish(self, slug: str, word: str) -> SimpleNamespace:
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            self.people[slug] = make_people(slug)
            return make_estate(self.people[slug]["user"], word)

    def _name_what_is_one_persons(self) -> None:
        estate = self.estates[self.a]
        with tenant(self.a):
            Conversation.objects.filter(pk=estate.conversation.pk).update(title=self.private)
            say(Message.objects.filter(conversation=estate.conversation.pk), self.private)
            type(estate.key).objects.filter(pk=estate.key.pk).update(name=self.key_name)
            self.second = create_user(actor=None, email=f"two@{self.a}.example", name="Two", roles=["user"])

    def remove(self) -> None:
        with platform():
            remove_connection(actor=None, connection=self.connection, force=True)

    # -- callers ---------------------------------------------------------------------------------------------

    def _key(self, slug: str, person) -> dict[str, str]:
        with tenant(slug):
            text = create_api_key(
                actor=None, user=person, name="walker", scopes=["inference", "read", "manage"]
            )[1]
        return {"Authorization": f"Bearer {text}"}

    def callers(self) -> Iterator[Caller]:
        """At A's host everybody is after B's things and one person's; strangers after A's too."""
        secrets = [f"sk-{self.shared}", f"sk-{self.foreign_word}", self.estates[self.a].key_text]
        never = [*secrets, self.private, self.foreign_word, self.b, self.platform_word]
        estate, theirs = _ids(self.estates[self.a]), _ids(self.estates[self.b])
        private = {name: [*theirs[name], *estate[name]] for name in OWN_OF_A_PERSON}
        people = self.people[self.a] | {"user": self.second}
        host = f"{self.a}.localhost"
        for role in ROLES:
            # the names of keys stand in the list of calls, which all but users see
            words = [*never, self.key_name] if role == "user" else never
            may_see_keys = role in ("auditor", "admin", "owner")
            keys = {} if may_see_keys else {"key": [*theirs["key"], *estate["key"]]}
            session = session_of(host, Scope("tenant", self.a), people[role])
            yield Caller(role, host, session, words, theirs | private | keys)
            if role in ("user", "admin", "owner"):
                yield Caller(
                    f"key of {role}", host, self._key(self.a, people[role]), words, theirs | private | keys
                )
        everything = [*never, self.key_name, self.shared]
        both = {name: [*theirs[name], *estate[name]] for name in theirs}
        b_owner = self.people[self.b]["owner"]
        b_session = session_of(f"{self.b}.localhost", Scope("tenant", self.b), b_owner)
        operator = session_of("localhost", Scope("platform"), self.operator)
        yield Caller("nobody", host, {}, everything, both)
        yield Caller("B's session", host, b_session, everything, both)
        yield Caller("B's key", host, self._key(self.b, b_owner), everything, both)
        yield Caller("operator's session", host, operator, everything, both)
        yield Caller(
            "wrong key", host, {"Authorization": f"Bearer atr_{self.a}_AAAAAAAA_{'A' * 43}"}, everything, both
        )
        yield from self._callers_of_the_platform(everything, theirs, estate, b_session)

    def _callers_of_the_platform(self, everything, theirs, estate, b_session) -> Iterator[Caller]:
        rows = {"connection": [str(self.connection.pk)], "operator": [str(self.operator.pk)]}
        with platform():
            row = Tenant.objects.get(slug=self.a)
            rows |= {"tenant": [str(row.pk)], "plan": [str(row.plan_id)]}
        both = {name: [*theirs[name], *estate[name]] for name in theirs} | rows
        # outside production its front page names the organisations
        everything = [word for word in everything if word != self.b]
        yield Caller("nobody at the platform", "localhost", {}, everything, both)
        yield Caller("B's session at the platform", "localhost", b_session, everything, both)
        # a key is at home there, too: A's, since what B does to its own would count as a change
        words = [word for word in everything if word != self.shared]
        private = {name: both[name] for name in (*OWN_OF_A_PERSON, "key")}
        yield Caller(
            "key of user at the platform",
            "localhost",
            self._key(self.a, self.second),
            words,
            theirs | private | rows,
        )
        operator = session_of("localhost", Scope("platform"), self.operator)
        words = [word for word in everything if word != self.platform_word]
        yield Caller("operator", "localhost", operator, words, theirs)

    # -- what must stay as it is -----------------------------------------------------------------------------

    def checksum(self) -> dict[str, str]:
        """Of all of B's tables but sessions and marks of use, and of what is one person's in A."""
        with tenant(self.b), connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
            tables = [name for (name,) in cursor.fetchall() if name not in ("django_session", "atrium_duty")]
            sums = {}
            for name in tables:
                row = "to_jsonb(t) - 'last_used_at' - 'last_login' - 'updated_at'"
                cursor.execute(
                    f'SELECT md5(string_agg(({row})::text, chr(10) ORDER BY ({row})::text)) FROM "{name}" t'
                )
                sums[name] = cursor.fetchone()[0]
        with tenant(self.a):
            own = Message.objects.filter(conversation__user=self.people[self.a]["user"])
            sums["one person's"] = str(
                sorted((str(m.pk), m.text, m.status, m.conversation.title) for m in own)
            )
        return sums
