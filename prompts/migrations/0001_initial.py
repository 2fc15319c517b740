import django.db.models.deletion
import foundation.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Conversation',
            fields=[
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('id', models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('model_name', models.CharField(blank=True, max_length=200, verbose_name='model')),
                ('last_message_at', models.DateTimeField(verbose_name='last message')),
                ('total_tokens', models.PositiveBigIntegerField(default=0, editable=False, verbose_name='tokens')),
                ('total_cost', models.DecimalField(decimal_places=12, default=0, editable=False, max_digits=24, verbose_name='cost')),
                ('currency', models.CharField(blank=True, editable=False, max_length=3, verbose_name='currency')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='conversations', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'conversation',
                'verbose_name_plural': 'conversations',
                'ordering': ['-last_message_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('id', models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveIntegerField(verbose_name='position')),
                ('role', models.CharField(choices=[('user', 'user'), ('assistant', 'assistant')], max_length=9, verbose_name='role')),
                ('text', models.TextField(blank=True, verbose_name='text')),
                ('status', models.CharField(choices=[('pending', 'waiting'), ('streaming', 'being written'), ('done', 'finished'), ('stopped', 'stopped'), ('interrupted', 'interrupted'), ('failed', 'failed')], default='done', max_length=11, verbose_name='status')),
                ('model_name', models.CharField(blank=True, max_length=200, verbose_name='model')),
                ('process_id', models.UUIDField(editable=False, null=True)),
                ('request_id', models.CharField(blank=True, max_length=64, verbose_name='request')),
                ('notice', models.CharField(blank=True, max_length=40, verbose_name='notice')),
                ('error_code', models.CharField(blank=True, max_length=60, verbose_name='error')),
                ('error_message', models.TextField(blank=True, verbose_name='error message')),
                ('input_tokens', models.PositiveIntegerField(default=0, verbose_name='input tokens')),
                ('output_tokens', models.PositiveIntegerField(default=0, verbose_name='output tokens')),
                ('cost', models.DecimalField(decimal_places=12, default=0, max_digits=24, verbose_name='cost')),
                ('currency', models.CharField(blank=True, max_length=3, verbose_name='currency')),
                ('is_estimated', models.BooleanField(default=False, verbose_name='estimated')),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='prompts.conversation', verbose_name='conversation')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'ordering': ['position'],
            },
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(fields=['user', '-last_message_at', '-id'], name='prompts_conversation_recent'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'streaming'])), fields=['process_id'], name='prompts_message_unfinished'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('conversation', 'position'), name='prompts_message_position'),
        ),
    ]
