"""A person with a short and a long conversation, for the bench of pages. Runs inside `manage.py shell`, as
bench.seed does.

Takes {"slug", "turns"} in BENCH_TASK, prints {"cookie": {"name", "value"}, "short", "long"}: a session, and
the ids of the conversations.
"""

from __future__ import annotations

import json
import os

ANSWER = """Three offers are on the table, and they differ less in price than in what comes **with** it:

1. *Nordholm* delivers in ten days and takes the old chairs back.
2. *Sitwell & Sons* costs 4 % less, but the arm rests are extra.
3. *Büro Krüger* is the dearest, with ten years of warranty.

| Offer | Price per piece | Delivery |
|---|---:|---|
| Nordholm | 312.00 € | 10 days |
| Sitwell & Sons | 299.50 € | 3 weeks |

```python
def total(pieces: int, price: float) -> float:
    return round(pieces * price * 1.19, 2)
```

For forty pieces that makes a difference of $40 \\cdot 12.5 = 500$ euros, which is what taking back the
old ones is worth by itself."""
QUESTION = (
    "Compare the offers for office chairs once more, please, and say what you would take. Number {number}."
)


def main() -> None:
    from django.conf import settings

    from accounts.models import User
    from tenants.context import tenant
    from tests.prompts.visitor import start_session

    wanted = json.loads(os.environ["BENCH_TASK"])
    slug = wanted["slug"]
    with tenant(slug):
        user = User.objects.get(email=f"owner@{slug}.example")
        ids = {"short": make(user, 1), "long": make(user, wanted["turns"])}
    session = start_session(slug, user, wanted["model"])
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session["cookie"]}
    print(json.dumps({"cookie": cookie, **ids}))


def make(user, turns: int) -> str:
    """A conversation of so many turns; returns its id."""
    from prompts.models import Message, Part
    from tests.prompts.chats import make_conversation

    conversation = make_conversation(user, turns=turns)
    parts = list(Part.objects.filter(message__conversation=conversation).select_related("message"))
    for part in parts:
        is_answer = part.message.role == Message.Role.ASSISTANT
        part.text = ANSWER if is_answer else QUESTION.format(number=part.message.position)
    Part.objects.bulk_update(parts, ["text"], batch_size=500)
    return str(conversation.pk)
