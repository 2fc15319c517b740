from django.db import migrations

from tenants.database import sql


class Migration(migrations.Migration):
    """The functions of the shared schema, and pgvector (which a superuser may have to create beforehand: README, production)."""

    dependencies = [("tenants", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public", migrations.RunSQL.noop),
        migrations.RunSQL(sql.CLONE_SCHEMA, "DROP FUNCTION public.atrium_clone_schema(text, text)"),
        migrations.RunSQL(sql.NOTE_DUTY, "DROP FUNCTION public.atrium_duty(text, timestamptz)"),
    ]
