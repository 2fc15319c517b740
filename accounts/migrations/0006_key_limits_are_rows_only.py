"""The column that 0005 copied is no longer ours. It stays in the table for one release: processes of the
release before still read and write it while tenants migrate.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_limits_as_rows")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="apikey", name="requests_per_minute")]
        )
    ]
