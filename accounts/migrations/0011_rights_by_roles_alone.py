"""Rights come from roles alone. Nothing in the product has ever given one to a person directly; who did so past
it (in a shell, in SQL) finds these rights in a role of the person's own, which people see and can take away.
"""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0010_auto_models'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.RunSQL(
            "WITH person AS (SELECT id, 'Own rights of ' || CASE WHEN length(email) > 130 THEN id::text "
            "ELSE email END AS role FROM accounts_user "
            "WHERE id IN (SELECT user_id FROM accounts_user_user_permissions)), "
            "made AS (INSERT INTO auth_group (name) SELECT role FROM person RETURNING id, name), "
            "joined AS (INSERT INTO accounts_user_groups (user_id, group_id) "
            "SELECT person.id, made.id FROM person JOIN made ON made.name = person.role) "
            "INSERT INTO auth_group_permissions (group_id, permission_id) "
            "SELECT made.id, own.permission_id FROM person JOIN made ON made.name = person.role "
            "JOIN accounts_user_user_permissions AS own ON own.user_id = person.id",
            migrations.RunSQL.noop,
        ),
        migrations.RemoveField(
            model_name='user',
            name='user_permissions',
        ),
    ]
