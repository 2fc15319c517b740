"""What a table of its own said of parts becomes columns of their bytes. Parts keep the ids by which clients of
uploads under way name them.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('files', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='blob',
            name='upload',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='parts_new', to='files.upload'),
        ),
        migrations.AddField(
            model_name='blob',
            name='part_id',
            field=models.UUIDField(null=True),
        ),
        migrations.RunSQL(
            "UPDATE files_blob SET upload_id = part.upload_id, part_id = part.id "
            "FROM files_uploadpart AS part WHERE part.blob_id = files_blob.id",
            "INSERT INTO files_uploadpart (id, upload_id, blob_id, created_at) "
            "SELECT part_id, upload_id, id, created_at FROM files_blob WHERE upload_id IS NOT NULL",
        ),
        migrations.DeleteModel(
            name='UploadPart',
        ),
        migrations.AlterField(
            model_name='blob',
            name='upload',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='parts', to='files.upload'),
        ),
        migrations.AddConstraint(
            model_name='blob',
            constraint=models.UniqueConstraint(condition=models.Q(('upload__isnull', False)), fields=('upload', 'part_id'), name='files_blob_part_once'),
        ),
        migrations.AddConstraint(
            model_name='blob',
            constraint=models.CheckConstraint(condition=models.Q(('upload__isnull', True), ('part_id__isnull', False), _connector='OR'), name='files_blob_part_named'),
        ),
    ]
