"""What the outbox held and nobody has sent becomes work. Messages that were sent stand at the broker
(tenants.work.earlier).
"""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('local', '0003_work'),
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(
            "INSERT INTO local_work (id, kind, object_id, queue, arguments, state, due_at, attempts, stages, cost, "
            "is_wanted_again, error_code, error, created_at) "
            "SELECT DISTINCT ON (task, object_id) id, task, object_id, queue, arguments, 'queued', now(), 0, '[]', 0, "
            "false, '', '', created_at FROM (SELECT id, task, created_at, "
            "coalesce(arguments->>'user_id', arguments->>'slug', id::text) AS object_id, "
            "CASE queue WHEN '' THEN 'default' ELSE queue END AS queue, "
            "arguments - 'user_id' - 'slug' AS arguments FROM local_outboxmessage WHERE sent_at IS NULL) AS unsent "
            "ORDER BY task, object_id, created_at "
            "ON CONFLICT DO NOTHING",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "INSERT INTO public.tenants_duty (role, kind, due_at) SELECT DISTINCT current_database() || '_' || "
            "CASE current_schema() WHEN 'public' THEN 'platform' ELSE current_schema() END, 'work.' || queue, now() "
            "FROM local_work WHERE state = 'queued' AND queue IN ('default', 'provisioning')",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            "DELETE FROM public.tenants_duty WHERE kind = 'outbox' AND role = current_database() || '_' || "
            "CASE current_schema() WHEN 'public' THEN 'platform' ELSE current_schema() END",
            migrations.RunSQL.noop,
        ),
        migrations.DeleteModel(
            name='OutboxMessage',
        ),
    ]
