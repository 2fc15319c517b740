from django.db import migrations, models


class Migration(migrations.Migration):
    """No row is written anew: PostgreSQL notes a column that is empty everywhere."""

    dependencies = [
        ("usage", "0007_period_labels"),
    ]

    operations = [
        migrations.AddField(
            model_name="usageevent",
            name="dropped_params",
            field=models.JSONField(
                help_text="Fields of the request that whoever answered was not told, since it does not know them.",
                null=True,
                verbose_name="wishes left out",
            ),
        ),
    ]
