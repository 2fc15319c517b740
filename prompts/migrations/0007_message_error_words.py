"""What a failed answer's text is made of. Rows of the release before have none: their text is shown."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("prompts", "0006_message_error_language"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="error_words",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
