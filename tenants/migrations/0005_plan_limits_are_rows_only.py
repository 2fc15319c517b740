"""The column that 0004 copied is no longer ours. It stays in the table for one release: processes of the
release before still read and write it while tenants migrate.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_limits_as_rows")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="plan", name="requests_per_minute")]
        )
    ]
