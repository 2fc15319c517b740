"""The four columns that counted tokens before there were quantities.

Rows of the release before have no quantities (NULL), and say in these columns what was used. While processes
of that release run beside ours, ours fill the columns too, so that either reads what the other has written.
This module goes with the columns, in the next release.
"""

from typing import Any

from usage.quantities import CLASSES, Quantities

COLUMNS = {
    "input": "input_tokens",
    "cached": "cached_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}
_PAIRS = ", ".join(f"'{name}', nullif({column}, 0)" for name, column in COLUMNS.items())
# of a row, as SQL
QUANTITIES = f"coalesce(quantities, jsonb_strip_nulls(jsonb_build_object({_PAIRS})))"
# class → how much of it a row counts, as SQL
COUNTS = {
    name: (
        f"CASE WHEN quantities IS NULL THEN {COLUMNS[name]} ELSE (quantities->>'{name}')::bigint END"
        if name in COLUMNS
        else f"(quantities->>'{name}')::bigint"
    )
    for name in CLASSES
}


def read_quantities(row: Any) -> Quantities:
    """What a row of events or sums says was used."""
    if row.quantities is not None:
        return row.quantities
    counts = {name: getattr(row, column) for name, column in COLUMNS.items()}
    return {name: count for name, count in counts.items() if count}
