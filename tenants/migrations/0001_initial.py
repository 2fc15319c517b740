import django.core.validators
import django.db.models.deletion
import django_tenants.postgresql_backend.base
import foundation.ids
import tenants.slugs
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Plan',
            fields=[
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('id', models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(help_text='Used in commands and the API; it stays the same.', max_length=40, unique=True, verbose_name='name')),
                ('label', models.CharField(max_length=80, verbose_name='label')),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)], verbose_name='requests per minute')),
                ('monthly_budget', models.DecimalField(blank=True, decimal_places=12, help_text="In the tenant's currency. Read-only for the tenant.", max_digits=24, null=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name='monthly budget')),
            ],
            options={
                'verbose_name': 'plan',
                'verbose_name_plural': 'plans',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Duty',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('role', models.CharField(max_length=63)),
                ('kind', models.CharField(max_length=40)),
                ('due_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='tenants_duty_due')],
            },
        ),
        migrations.CreateModel(
            name='Tenant',
            fields=[
                ('schema_name', models.CharField(db_index=True, max_length=63, unique=True, validators=[django_tenants.postgresql_backend.base._check_schema_name])),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('id', models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('slug', models.CharField(max_length=31, unique=True, validators=[tenants.slugs.validate_slug], verbose_name='slug')),
                ('name', models.CharField(max_length=120, verbose_name='name')),
                ('status', models.CharField(choices=[('provisioning', 'being set up'), ('active', 'active'), ('suspended', 'suspended')], default='provisioning', editable=False, max_length=16, verbose_name='status')),
                ('currency', models.CharField(choices=[('EUR', 'EUR'), ('USD', 'USD'), ('CHF', 'CHF'), ('GBP', 'GBP'), ('CNY', 'CNY')], default='EUR', max_length=3, verbose_name='currency')),
                ('language', models.CharField(default='en', help_text='For mails and for people who have not chosen one.', max_length=10, verbose_name='language')),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tenants', to='tenants.plan', verbose_name='plan')),
            ],
            options={
                'verbose_name': 'tenant',
                'verbose_name_plural': 'tenants',
                'ordering': ['slug'],
            },
        ),
        migrations.CreateModel(
            name='Domain',
            fields=[
                ('domain', models.CharField(db_index=True, max_length=253, unique=True)),
                ('is_primary', models.BooleanField(db_index=True, default=True)),
                ('id', models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='domains', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'domain',
                'verbose_name_plural': 'domains',
                'ordering': ['domain'],
            },
        ),
    ]
