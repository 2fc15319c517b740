"""What periods are called; the database keeps the same."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_attempts_that_cost")]

    operations = [
        migrations.AlterField(
            model_name="budget",
            name="period",
            field=models.CharField(
                choices=[("month", "month"), ("day", "day"), ("total", "for ever")],
                default="month",
                max_length=8,
                verbose_name="period",
            ),
        ),
    ]
