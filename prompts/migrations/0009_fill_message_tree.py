"""What the release before has written, as a tree: each message follows the one before it, and its text is its
one part. One statement a table, whatever its size; safe to run again.
"""

from django.db import migrations

# An answer was being replaced as its process ended: the earlier one comes back, as that release would have
# done. What the lost attempt costs is still added to it.
TAKE_BACK = """
UPDATE prompts_message SET
  text = replaced->>'text',
  status = replaced->>'status',
  model_name = replaced->>'model_name',
  failed_model_name = coalesce(replaced->>'failed_model_name', ''),
  finish_reason = coalesce(replaced->>'finish_reason', ''),
  notice = left(trim(coalesce(replaced->>'notice', '') || ' not_replaced'), 80),
  input_tokens = coalesce((replaced->>'input_tokens')::int, input_tokens),
  output_tokens = coalesce((replaced->>'output_tokens')::int, output_tokens),
  cost = coalesce((replaced->>'cost')::numeric, cost),
  currency = coalesce(replaced->>'currency', currency),
  is_estimated = coalesce((replaced->>'is_estimated')::boolean, is_estimated),
  created_at = coalesce((replaced->>'created_at')::timestamptz, created_at)
WHERE status IN ('pending', 'streaming') AND text = '' AND replaced->>'text' <> ''
"""

PARENTS = """
UPDATE prompts_message SET parent_id = placed.before FROM (
  SELECT id, lag(id) OVER (PARTITION BY conversation_id ORDER BY position) AS before FROM prompts_message
) placed
WHERE prompts_message.id = placed.id AND parent_id IS NULL AND placed.before IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM prompts_conversation c WHERE c.id = conversation_id AND c.leaf_id IS NOT NULL)
"""

LEAVES = """
UPDATE prompts_conversation SET leaf_id = (
  SELECT id FROM prompts_message WHERE conversation_id = prompts_conversation.id ORDER BY position DESC LIMIT 1
)
WHERE leaf_id IS NULL
"""

PARTS = """
INSERT INTO prompts_part (message_id, ordinal, kind, text)
SELECT id, 0, 'text', text FROM prompts_message
WHERE text <> '' AND NOT EXISTS (SELECT 1 FROM prompts_part WHERE message_id = prompts_message.id)
"""

TEXTS = """
UPDATE prompts_message SET text = said.text FROM (
  SELECT message_id, string_agg(text, '' ORDER BY ordinal) AS text FROM prompts_part
  WHERE kind = 'text' GROUP BY message_id
) said
WHERE said.message_id = prompts_message.id AND prompts_message.text <> said.text
"""


class Migration(migrations.Migration):
    dependencies = [
        ("prompts", "0008_message_tree"),
    ]

    operations = [
        migrations.RunSQL(TAKE_BACK, migrations.RunSQL.noop),
        migrations.RunSQL(PARENTS, migrations.RunSQL.noop),
        migrations.RunSQL(LEAVES, migrations.RunSQL.noop),
        migrations.RunSQL(PARTS, TEXTS),
    ]
