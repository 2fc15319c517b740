"""What a model of Anthropic's takes, by its name: they differ, and refuse what they do not know.

Unknown names are taken for the newest. Read from Anthropic's published descriptions in November 2026.
"""

import re

Generation = tuple[int, int]

NEWEST: Generation = (99, 0)
THINKS, THINKS_BY_ITSELF, KNOWS_MOST_EFFORTS = (3, 7), (4, 6), (4, 7)
KEEPS_SCHEMAS = TAKES_ONE_SAMPLING = (4, 1)
TAKES_NO_SAMPLING = TAKES_NO_BUDGET = (4, 7)
# The number behind the family or, until 3.7, before it; what may follow it is a date.
_NUMBER = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_FAMILIES_THAT_MAY_REST = re.compile(r"opus|sonnet|haiku")  # the others refuse not to think


def generation_of(model: str) -> Generation:
    found = _NUMBER.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else NEWEST


def may_rest(model: str) -> bool:
    """Whether it can be told not to think."""
    return _FAMILIES_THAT_MAY_REST.search(model) is not None
