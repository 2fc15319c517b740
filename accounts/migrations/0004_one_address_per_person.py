"""Addresses that people were able to add to their accounts by hand are deleted: `User.email` is the only one."""

from django.db import migrations
from django.db.models.functions import Lower


def delete_stray_addresses(apps, schema_editor) -> None:
    """Safe to run again. The address that stays counts as the person's verified one, as those do that an admin enters."""
    addresses = apps.get_model("account", "EmailAddress").objects.using(schema_editor.connection.alias)
    own = addresses.annotate(own=Lower("user__email"), written=Lower("email"))
    stray = [address.pk for address in own if address.own != address.written]
    addresses.filter(pk__in=stray).delete()
    kept: set = set()
    for address in addresses.order_by("-verified", "-primary", "pk"):
        if address.user_id in kept:  # the same in other letters
            address.delete()
        kept.add(address.user_id)
    addresses.update(primary=True, verified=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_no_rights_on_platform_objects"), ("account", "0009_emailaddress_unique_primary_email")]
    operations = [migrations.RunPython(delete_stray_addresses, migrations.RunPython.noop)]
