import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """`text` and `replaced` stay as columns that nothing reads, until the release after this one: what the next
    migration makes parts of is still there if somebody has to go back.
    """

    dependencies = [
        ("prompts", "0007_message_error_words"),
    ]

    operations = [
        migrations.CreateModel(
            name="Part",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ordinal", models.PositiveIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("text", "text"),
                            ("reasoning", "reasoning"),
                            ("tool_call", "tool call"),
                            ("tool_result", "result of a tool"),
                            ("citation", "citation"),
                            ("file", "file"),
                            ("image", "image"),
                        ],
                        max_length=11,
                    ),
                ),
                ("text", models.TextField(blank=True, db_default="", default="", verbose_name="text")),
                ("data", models.JSONField(blank=True, db_default={}, default=dict)),
                ("duration_ms", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "message",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="prompts.message",
                        verbose_name="message",
                    ),
                ),
            ],
            options={
                "verbose_name": "part of a message",
                "verbose_name_plural": "parts of messages",
                "ordering": ["message", "ordinal"],
                "constraints": [
                    models.UniqueConstraint(fields=("message", "ordinal"), name="prompts_part_ordinal")
                ],
            },
        ),
        migrations.AddField(
            model_name="message",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="children",
                to="prompts.message",
                verbose_name="follows",
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="leaf",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="prompts.message",
                verbose_name="newest message",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["conversation", "position"], name="prompts_message_place"),
        ),
        migrations.RemoveConstraint(model_name="message", name="prompts_message_position"),
        migrations.AlterField(
            model_name="message",
            name="text",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="text"),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField(model_name="message", name="text"),
                migrations.RemoveField(model_name="message", name="replaced"),
            ]
        ),
    ]
