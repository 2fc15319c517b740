from django.db import migrations, models

import accounts.models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_policies_of_storage'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='auto_models',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, validators=[accounts.models.validate_auto_models], verbose_name='models for “auto”'),
        ),
    ]
