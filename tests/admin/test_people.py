"""People, roles, projects and keys through the forms: what the services allow happens, what they refuse
stands in the form.
"""

import re

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import ApiKey, Project, User
from accounts.services import create_api_key
from models_registry.services import add_connection, add_model
from tenants.doors import hosts
from tenants.local.models import Work
from tests.chores import do_work
from tests.estate import PROVIDER, make_estate, make_people
from tests.routes import TENANT

pytestmark = pytest.mark.django_db


def url(name: str, *args) -> str:
    return reverse(f"service:{name}", args=args, urlconf=TENANT)


# What a browser sends with a person's form for the tables below it, which are only for reading
TABLES = {f"{name}-{part}_FORMS": 0 for name in ("api_keys", "memberships") for part in ("TOTAL", "INITIAL")}


def role_ids(*names: str) -> list[int]:
    return list(Group.objects.filter(name__in=names).values_list("pk", flat=True))


def new_person(**changes) -> dict:
    return {
        "email": "Dora@Acme.example",
        "name": "Dora Dietz",
        "language": "de",
        "roles": role_ids("user", "auditor"),
        "send_invitation": "on",
    } | changes


def refusal(response) -> str:
    """What the form says, without tags."""
    return re.sub(r"<[^>]+>|\s+", " ", response.content.decode())


def test_a_new_person_gets_roles_and_an_invitation_in_their_language(acme, alice):
    response = acme.login_as(alice).post(url("accounts_user_add"), new_person())
    assert response.status_code == 302
    dora = User.objects.get(email="dora@acme.example")
    assert (
        set(dora.groups.values_list("name", flat=True)) == {"user", "auditor"}
        and not dora.has_usable_password()
        and dora.language == "de"
    )
    assert do_work() == 1
    (sent,) = mail.outbox
    assert sent.to == ["dora@acme.example"] and "Acme" in sent.subject
    link = re.search(r"http://acme\.localhost:8000(/accounts/password/reset/key/\S+)", sent.body)[1]
    assert acme.get(link, follow=True).status_code == 200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"email": "alice@acme.example"}, "already exists"),
        ({"email": "nobody"}, "valid e-mail"),
        ({"roles": []}, "required"),
        ({"name": ""}, "required"),
    ],
)
def test_a_form_that_cannot_be_says_why(acme, alice, changes, says):
    response = acme.login_as(alice).post(url("accounts_user_add"), new_person(**changes))
    assert response.status_code == 200 and says in refusal(response) and User.objects.count() == 2


def test_only_an_owner_names_an_owner(acme):
    people = make_people("acme")
    data = new_person(roles=role_ids("owner"))
    response = acme.login_as(people["admin"]).post(url("accounts_user_add"), data)
    assert (
        response.status_code == 403
        and "Only an owner" in refusal(response)
        and not User.objects.filter(email="dora@acme.example").exists()
    )
    assert acme.login_as(people["owner"]).post(url("accounts_user_add"), data).status_code == 302


def test_an_admin_cannot_become_the_owner_by_the_owners_address(acme):
    """Who could change the address could have the link for a new password sent to themselves."""
    people = make_people("acme")
    owner = people["owner"]
    data = {
        "email": "mine@acme.example",
        "name": owner.name,
        "language": "",
        "roles": role_ids("owner"),
    } | TABLES
    response = acme.login_as(people["admin"]).post(url("accounts_user_change", owner.pk), data)
    assert response.status_code == 403 and "rights that you do not have" in refusal(response)
    assert User.objects.get(pk=owner.pk).email == "alice@acme.example"


def test_a_helper_cannot_give_away_rights_that_they_lack(acme):
    people = make_people("acme")
    helpers = Group.objects.create(name="helpers")
    helpers.permissions.set(
        Permission.objects.filter(
            codename__in=[
                "access_admin",
                "view_user",
                "change_user",
                "add_user",
                "view_group",
                "change_group",
            ]
        )
    )
    helper = people["user"]
    helper.groups.add(helpers)
    acme.login_as(helper)
    response = acme.post(url("accounts_user_add"), new_person(roles=role_ids("admin")))
    assert response.status_code == 403 and "rights that you have yourself" in refusal(response)
    everything = list(
        Permission.objects.filter(
            content_type__app_label="models_registry", codename="delete_connection"
        ).values_list("pk", flat=True)
    )
    response = acme.post(url("auth_group_change", helpers.pk), {"name": "helpers", "rights": everything})
    assert (
        response.status_code == 403 and not helpers.permissions.filter(codename="delete_connection").exists()
    )
    response = acme.post(
        url("accounts_apikey_add"),
        {
            "name": "k",
            "user": people["owner"].pk,
            "project": Project.objects.first().pk,
            "scopes": ["manage"],
        },
    )
    assert response.status_code == 403 and not ApiKey.objects.exists()


def test_the_last_owner_stays(acme, alice):
    data = {"email": alice.email, "name": "Alice", "language": "", "roles": role_ids("user")} | TABLES
    response = acme.login_as(alice).post(url("accounts_user_change", alice.pk), data)
    assert (
        response.status_code == 409
        and "last owner" in refusal(response)
        and alice.groups.filter(name="owner").exists()
    )


def test_a_change_leaves_its_trace_with_who_did_it(acme, alice, bob):
    data = {
        "email": bob.email,
        "name": "Robert Berger",
        "language": "de",
        "roles": role_ids("auditor"),
    } | TABLES
    assert acme.login_as(alice).post(url("accounts_user_change", bob.pk), data).status_code == 302
    entries = LogEntry.objects.get_for_object(bob)
    assert {entry.actor for entry in entries.filter(actor__isnull=False)} == {alice}
    page = refusal(acme.get(url("accounts_user_history", bob.pk)))
    for text in ("Bob", "Robert Berger", "Alice", "Auditor"):
        assert text in page, text
    assert "password" not in str([entry.changes for entry in entries])


@pytest.mark.parametrize("action", ["deactivate", "reactivate", "invite"])
def test_actions_ask_before_they_do(acme, alice, bob, action):
    acme.login_as(alice)
    address = url(f"accounts_user_{action}", bob.pk)
    assert "?" in refusal(acme.get(address)) and acme.get(address).status_code == 200
    assert acme.post(address).status_code == 200, "an unconfirmed POST asks too"
    bob.refresh_from_db()
    assert bob.is_active and not Work.objects.exists()


def test_locking_out_and_letting_in_again(acme, alice, bob):
    acme.login_as(alice)
    for action, is_active in (("deactivate", False), ("reactivate", True)):
        data = {"action": action, "_selected_action": [bob.pk], "confirmed": "yes"}
        assert acme.post(url("accounts_user_changelist"), data).status_code == 302
        bob.refresh_from_db()
        assert bob.is_active is is_active


def test_an_action_on_many_reports_whom_it_could_not_touch(acme, alice, bob):
    data = {"action": "deactivate", "_selected_action": [bob.pk, alice.pk], "confirmed": "yes"}
    page = refusal(acme.login_as(alice).post(url("accounts_user_changelist"), data, follow=True))
    assert "1 person is locked out." in page and "cannot lock yourself out" in page


def test_nobody_is_deleted(acme, alice, bob):
    acme.login_as(alice)
    assert acme.post(url("accounts_user_delete", bob.pk), {"post": "yes"}).status_code == 403
    acme.post(
        url("accounts_user_changelist"),
        {"action": "delete_selected", "_selected_action": [bob.pk], "post": "yes"},
    )
    assert User.objects.filter(pk=bob.pk).exists()


def test_a_key_is_shown_once(acme, alice, bob):
    acme.login_as(alice)
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    for name in ("a", "b", "c"):
        add_model(actor=None, connection=connection, name=name)
    data = {
        "name": "Batch",
        "user": bob.pk,
        "project": Project.objects.get().pk,
        "scopes": ["inference"],
        "model_names": "a\nb, c",
        "requests_per_minute": 60,
    }
    made = acme.post(url("accounts_apikey_add"), data)
    key = ApiKey.objects.get()
    assert made.status_code == 302 and made.url == url("accounts_apikey_change", key.pk), (
        "loading the next page again makes no second key"
    )
    assert acme.head(made.url).status_code == 200, "a HEAD shows nothing and uses nothing up"
    response = acme.get(made.url)
    text = re.search(rf"atr_acme_{key.key_id}_[\w-]{{43}}", response.content.decode())[0]
    assert (
        response.status_code == 200
        and "no-store" in response["Cache-Control"]
        and key.model_names == ["a", "b", "c"]
        and key.user == bob
    )
    pages = [url(f"accounts_apikey_{page}", key.pk) for page in ("change", "history")]
    for address in [*pages, url("accounts_apikey_changelist"), url("auditlog_logentry_changelist")]:
        assert text.rsplit("_", 1)[1] not in acme.get(address).content.decode()


def test_a_key_for_a_model_that_nobody_has_is_refused_at_its_field(acme, alice, bob):
    project = Project.objects.get().pk
    data = {"name": "k", "user": bob.pk, "project": project, "scopes": ["inference"], "model_names": "h/*"}
    response = acme.login_as(alice).post(url("accounts_apikey_add"), data)
    form = response.context["adminform"].form
    assert "There is no model “h/*”" in str(form.errors["model_names"]) and not ApiKey.objects.exists()


def test_a_keys_limits_change_but_not_its_person_or_scopes(acme, alice, bob):
    key, _text = create_api_key(actor=None, user=bob, name="k")
    data = {
        "name": "renamed",
        "user": alice.pk,
        "project": key.project_id,
        "scopes": ["manage"],
        "digest": "x",
        "key_id": "XXXXXXXX",
        "requests_per_minute": 5,
    }
    assert acme.login_as(alice).post(url("accounts_apikey_change", key.pk), data).status_code == 302
    after = ApiKey.objects.get(pk=key.pk)
    assert (after.name, after.requests_per_minute) == ("renamed", 5)
    assert (after.user, after.scopes, bytes(after.digest), after.key_id) == (
        bob,
        ["inference"],
        bytes(key.digest),
        key.key_id,
    )


def makers_on(acme, address: str) -> list[str]:
    """What stands in the list's column of who made a key; the newest key first."""
    html = acme.get(address, headers={"accept-language": "en"}).content.decode()
    cells = re.findall(r'(?s)class="[^"]*field-show_maker[^"]*".*?(?=</td>)', html)
    return [" ".join(re.sub(r"<[^>]+>|^[^>]*>", " ", cell).split()) for cell in cells]


def test_the_list_of_keys_says_who_or_what_made_each(acme, alice, bob):
    acme.login_as(alice).post("/keys/new/", {"name": "by hand", "scopes": ["manage"]})
    hers = ApiKey.objects.get()
    new = {"actor": alice, "user": alice, "scopes": ["manage"]}
    by_key, _text = create_api_key(**new, name="by a key", within=hers)
    create_api_key(**new, name="by a key of a key", within=by_key)
    create_api_key(actor=None, user=bob, name="by a command")
    expected = [
        "Command line or the platform", f"API key {by_key}", f"API key {hers}", "Alice",
    ]  # fmt: skip
    assert makers_on(acme, url("accounts_apikey_changelist")) == expected
    page = acme.get(url("accounts_apikey_change", by_key.pk), headers={"accept-language": "en"})
    assert f"API key {hers}" in page.content.decode()
    ApiKey.objects.filter(pk=hers.pk).delete()
    assert "an API key that does not exist any more" in makers_on(acme, url("accounts_apikey_changelist"))


def test_many_keys_take_no_more_queries_than_one(acme, alice):
    acme.login_as(alice)
    new = {"actor": alice, "user": alice, "scopes": ["manage"]}

    def count_queries() -> int:
        hosts.forget()  # what is remembered of a tenant for a second
        with CaptureQueriesContext(connection) as queries:
            acme.get(url("accounts_apikey_changelist"))
        return len(queries)

    made = [create_api_key(**new, name="k")[0]]
    create_api_key(**new, name="made", within=made[0])
    count_queries()  # what the first page loads for good
    few = count_queries()
    for _number in range(5):
        made.append(create_api_key(**new, name="k", within=made[-1])[0])
    create_api_key(**new, name="k")
    assert count_queries() == few


def test_a_key_is_revoked_after_a_question_and_then_stays_as_it_is(acme, alice, bob):
    key, _text = create_api_key(actor=None, user=bob, name="k")
    address = url("accounts_apikey_revoke", key.pk)
    acme.login_as(alice).get(address)
    key.refresh_from_db()
    assert key.is_usable
    acme.post(address, {"confirmed": "yes"})
    key.refresh_from_db()
    assert not key.is_usable
    assert acme.post(url("accounts_apikey_change", key.pk), {"name": "again"}).status_code == 403


def test_a_projects_members_are_added_moved_and_removed(acme, alice, bob):
    estate = make_estate(bob)
    acme.login_as(alice)
    address = url("accounts_project_change", estate.project.pk)
    form = {
        "name": "Renamed",
        "memberships-TOTAL_FORMS": 2,
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": estate.member.pk,
        "memberships-0-user": bob.pk,
        "memberships-0-role": "manager",
        "memberships-1-user": alice.pk,
        "memberships-1-role": "viewer",
    }
    assert acme.post(address, form).status_code == 302
    assert set(estate.project.memberships.values_list("user__name", "role")) == {
        ("Bob", "manager"),
        ("Alice", "viewer"),
    }
    again = form | {"memberships-TOTAL_FORMS": 1, "memberships-0-DELETE": "on"}
    acme.post(address, again)
    assert set(estate.project.memberships.values_list("user__name", flat=True)) == {"Alice"}


def test_a_project_says_where_data_may_go_and_what_auto_chooses(acme, alice):
    acme.login_as(alice)
    form = {
        "name": "Careful",
        "data_policy": "eu+unstored",
        "auto_models": "small\nlarge",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert acme.post(url("accounts_project_add"), form).status_code == 302
    project = Project.objects.get(name="Careful")
    assert (project.data_policy, project.auto_models) == ("eu+unstored", ["small", "large"])
    address = url("accounts_project_change", project.pk)
    assert "small\nlarge" in acme.get(address).content.decode()
    assert acme.post(address, form | {"data_policy": "", "auto_models": ""}).status_code == 302
    project.refresh_from_db()
    assert (project.data_policy, project.auto_models) == ("", [])
    names = " ".join(str(number) for number in range(21))
    assert acme.post(address, form | {"auto_models": names}).status_code == 200
    project.refresh_from_db()
    assert project.auto_models == []


def test_a_project_in_use_and_the_default_one_are_not_deleted(acme, alice, bob):
    estate = make_estate(bob)
    acme.login_as(alice)
    for project in (estate.project, Project.objects.get(is_default=True)):
        acme.post(url("accounts_project_delete", project.pk), {"post": "yes"})
        assert Project.objects.filter(pk=project.pk).exists()


def test_rights_are_ticked_in_a_table_and_hidden_ones_stay(acme, alice):
    role = Group.objects.get(name="ai_developer")
    hidden = Permission.objects.get(content_type__app_label="usage", codename="view_hold")
    assert hidden in role.permissions.all()
    wanted = Permission.objects.get(content_type__app_label="accounts", codename="view_project")
    response = acme.login_as(alice).post(
        url("auth_group_change", role.pk), {"name": "other", "rights": [wanted.pk]}
    )
    assert response.status_code == 302
    role = Group.objects.get(pk=role.pk)
    assert role.name == "ai_developer", "the roles that every organisation starts with keep their names"
    assert {wanted, hidden} <= set(role.permissions.all()) and not role.permissions.filter(
        codename="view_model"
    ).exists()


def test_built_in_roles_are_named_as_people_call_them(acme, alice):
    """In the lists, the filter and the forms; a role of the organisation's own keeps the name that it was
    given.
    """
    person = make_people("acme")["ai_developer"]
    Group.objects.create(name="my_helpers")
    role = Group.objects.get(name="ai_developer")
    acme.login_as(alice)
    pages = [
        url("accounts_user_changelist"),
        url("accounts_user_change", person.pk),
        url("auth_group_changelist"),
        url("auth_group_change", role.pk),
    ]
    for address in pages:
        page = refusal(acme.get(address)).replace(person.email, "")
        assert "AI developer" in page and "ai_developer" not in page, address
        assert address == pages[3] or "my_helpers" in page, address


def test_the_owners_role_stays_as_it_is(acme, alice):
    role = Group.objects.get(name="owner")
    count = role.permissions.count()
    assert acme.login_as(alice).post(url("auth_group_change", role.pk), {"rights": []}).status_code == 403
    assert role.permissions.count() == count
