"""The column that 0004 copied; in a transaction of its own, since rows wait for their checks there."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_limits_as_rows")]
    operations = [migrations.RemoveField(model_name="plan", name="requests_per_minute")]
