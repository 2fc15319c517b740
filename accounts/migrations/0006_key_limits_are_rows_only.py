"""The column that 0005 copied; in a transaction of its own, since rows wait for their checks there."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_limits_as_rows")]
    operations = [migrations.RemoveField(model_name="apikey", name="requests_per_minute")]
