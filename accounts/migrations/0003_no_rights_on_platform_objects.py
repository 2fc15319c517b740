"""Roles that hold everything held rights on the platform's own objects too, which no tenant has."""

from django.db import migrations

PLATFORM_APPS = ["django_tenants", "tenants", "registry_platform", "usage_platform"]


def take_away(apps, schema_editor) -> None:
    held = apps.get_model("auth", "Group").permissions.through.objects.using(schema_editor.connection.alias)
    held.filter(permission__content_type__app_label__in=PLATFORM_APPS).delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_time_zone_from_the_browser"), ("auth", "0012_alter_user_first_name_max_length"), ("contenttypes", "0002_remove_content_type_name")]
    operations = [migrations.RunPython(take_away, migrations.RunPython.noop)]
