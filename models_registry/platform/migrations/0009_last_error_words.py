"""What the text of a failed check is made of. Rows of the release before have none: their text is shown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry_platform", "0008_listed_values")]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="last_error_words",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
