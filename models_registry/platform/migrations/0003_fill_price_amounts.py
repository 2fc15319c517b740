"""The amounts of prices that the release before has written: what is more than its parent's price again."""

from django.db import migrations

PARENTS = {"input": None, "cached": "input", "output": None, "reasoning": "output"}


def amounts_of(price):
    found = {name: getattr(price, name) for name in PARENTS}
    return {
        name: f"{amount.normalize():f}"
        for name, amount in found.items()
        if PARENTS[name] is None or amount != found[PARENTS[name]]
    }


def fill(apps, schema_editor):
    """Safe to run again."""
    rows = apps.get_model("registry_platform", "ModelPrice").objects.using(schema_editor.connection.alias)
    for price in rows.filter(amounts__isnull=True).order_by("pk").iterator(chunk_size=1000):
        rows.filter(pk=price.pk).update(amounts=amounts_of(price))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("registry_platform", "0002_price_amounts")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
