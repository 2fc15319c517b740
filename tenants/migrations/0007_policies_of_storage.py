from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0006_data_policy'),
    ]

    operations = [
        migrations.AlterField(
            model_name='tenant',
            name='data_policy',
            field=models.CharField(blank=True, choices=[('', 'anywhere'), ('eu', 'European Union only'), ('local', "this installation's own network only"), ('+unstored', 'anywhere where nothing is stored'), ('eu+unstored', 'European Union only, where nothing is stored'), ('local+unstored', "this installation's own network only, where nothing is stored")], db_default='', default='', help_text='A call that no allowed connection can take is refused.', max_length=16, verbose_name='where data may go'),
        ),
    ]
