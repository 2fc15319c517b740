"""The quantities of rows that the release before has written. Rows that it writes later have none: they are
read by their four columns (usage.older_counts).
"""

from django.db import migrations, models

AT_ONCE = 1000
QUANTITIES = (
    "jsonb_strip_nulls(jsonb_build_object('input', nullif(input_tokens, 0), 'cached', nullif(cached_tokens, 0), "
    "'output', nullif(output_tokens, 0), 'reasoning', nullif(reasoning_tokens, 0)))"
)


def fill(apps, schema_editor):
    """Each batch in a transaction of its own; safe to run again."""
    for name in ("UsageEvent", "HourlySum"):
        rows = apps.get_model("usage", name).objects.using(schema_editor.connection.alias)
        missing = rows.filter(quantities__isnull=True).order_by("pk")
        ids = list(missing.values_list("pk", flat=True)[:AT_ONCE])
        while ids:
            quantities = models.Func(template=QUANTITIES, output_field=models.JSONField())
            rows.filter(pk__in=ids).update(quantities=quantities)
            ids = list(missing.filter(pk__gt=ids[-1]).values_list("pk", flat=True)[:AT_ONCE])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("usage", "0003_quantities")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
