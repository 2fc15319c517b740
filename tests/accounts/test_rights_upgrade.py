"""Rights that somebody was given past the product, which the release before kept beside their roles."""

import pytest
from django.contrib.auth import get_backends
from django.contrib.auth.models import Group, Permission

from accounts.models import User
from accounts.permissions import require, require_standing
from accounts.services import create_user
from foundation.errors import NotAllowed
from tenants.context import tenant
from tests.rights import give_rights
from tests.taken_back import migrate, own_tenant, run_sql


@pytest.mark.scope(None)
def test_they_become_a_role_of_the_persons_own(django_db_setup, django_db_blocker):
    with own_tenant(django_db_blocker) as slug:
        with tenant(slug):
            long = f"{'e' * 150}@{slug}.example"
            erin = create_user(actor=None, email=long, name="Erin", roles=["user"])
            frank = create_user(actor=None, email=f"frank@{slug}.example", name="Frank")
            olga = create_user(actor=None, email=f"olga@{slug}.example", name="Olga", roles=["user"])
            roles = Group.objects.count()
            wanted = Permission.objects.filter(codename__in=["access_admin", "view_user"])
            rows = [(erin.pk, wanted[0].pk), (frank.pk, wanted[0].pk), (frank.pk, wanted[1].pk)]
        migrate(slug, "accounts", "0010")
        for row in rows:
            statement = "INSERT INTO accounts_user_user_permissions (user_id, permission_id) VALUES (%s, %s)"
            run_sql(slug, statement, *row)
        migrate(slug)
        with tenant(slug):
            assert Group.objects.count() == roles + 2
            for person, held in ((erin, set(wanted[:1])), (frank, set(wanted)), (olga, set())):
                own = person.groups.filter(name__startswith="Own rights of ")
                assert set(Permission.objects.filter(group__in=own)) == held
                person = User.objects.get(pk=person.pk)
                assert all(person.has_perm(f"accounts.{right.codename}") for right in held)
            assert erin.groups.filter(name="user").exists() and olga.groups.count() == 1
            names = set(frank.groups.values_list("name", flat=True))
            assert names == {"user", f"Own rights of frank@{slug}.example"}


@pytest.mark.django_db
def test_a_person_has_the_rights_of_their_roles_and_no_others(alice, bob, django_assert_num_queries):
    with pytest.raises(NotAllowed):
        require(bob, "accounts.view_user")
    role = give_rights(bob, "accounts.view_user")
    bob = User.objects.get(pk=bob.pk)
    with django_assert_num_queries(1):  # for their roles alone
        require(bob, "accounts.view_user")
        assert bob.get_user_permissions() == set() and list(bob.user_permissions.all()) == []
    (backend,) = get_backends()
    assert "accounts.view_user" in backend.get_group_permissions(bob)
    assert User.objects.get(pk=alice.pk).has_perm("accounts.view_user")
    require_standing(alice, bob)
    bob.groups.remove(role)
    with pytest.raises(NotAllowed):
        require(User.objects.get(pk=bob.pk), "accounts.view_user")
