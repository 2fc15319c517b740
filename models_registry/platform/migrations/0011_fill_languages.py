"""The languages of the models that the embedded runtime brought along: so far they stood in the code alone."""

from django.db import migrations

LANGUAGES = {"atrium-tiny": ["en", "de", "zh"], "SmolLM2-135M-Instruct": ["en"]}


def fill(apps, schema_editor):
    """Safe to run again."""
    rows = apps.get_model("registry_platform", "Model").objects.using(schema_editor.connection.alias)
    for name, languages in LANGUAGES.items():
        brought = rows.filter(connection__kind="embedded", upstream_name=name, languages=[])
        brought.update(languages=languages)


class Migration(migrations.Migration):
    dependencies = [("registry_platform", "0010_model_languages")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
