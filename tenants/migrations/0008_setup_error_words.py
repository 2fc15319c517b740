"""What the text of a failed set-up is made of. Rows of the release before have none: their text is shown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_policies_of_storage")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="setup_error_words",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
