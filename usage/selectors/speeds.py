"""How quickly and how reliably models answered lately, by the tenant's own calls."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from usage.older_counts import COUNTS

LAST_CALLS = 50  # of a model, with corrections, within the days: read by an index, however many there are
JUDGED_CALLS = 5  # the last of these tell whether it answers
DAYS = 7
LEAST_STREAM_MS = 20  # between the first token and the end; an answer in one piece has none
LEAST_TOKENS = 8  # of an answer whose speed says something
_WRITTEN = f"coalesce({COUNTS['output']}, 0) + coalesce({COUNTS['reasoning']}, 0)"
# Failures are the servers', not those of requests that nobody could answer. Rows are compared and ordered as
# the index has them: with `model = …` PostgreSQL may look for a rare model's calls among everybody's.
_QUERY = f"""
SELECT names.name,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE is_streamed),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY written * 1000.0 / (latency_ms - first_token_ms))
           FILTER (WHERE is_streamed AND written >= {LEAST_TOKENS}),
       count(*) FILTER (WHERE number <= {JUDGED_CALLS}),
       count(*) FILTER (WHERE number <= {JUDGED_CALLS} AND is_failed)
  FROM unnest(%s::text[]) AS names (name)
 CROSS JOIN LATERAL (
       SELECT first_token_ms, latency_ms, {_WRITTEN} AS written,
              row_number() OVER (ORDER BY created_at DESC) AS number,
              status = 'ok' AND latency_ms - first_token_ms >= {LEAST_STREAM_MS} AS is_streamed,
              status = 'error' AND error_code LIKE 'upstream%%' AS is_failed
         FROM (
              SELECT *
                FROM usage_usageevent
               WHERE (model, created_at) > (names.name, now() - make_interval(days => {DAYS}))
                     AND (model, created_at) <= (names.name, 'infinity')
               ORDER BY model DESC, created_at DESC LIMIT {LAST_CALLS}
              ) AS latest
        WHERE kind = 'settle'
       ) AS events
 GROUP BY names.name
"""  # noqa: S608  (constants)


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians of a model's last streamed answers; None where there are none. `calls`: the last few of any
    kind, of which so many failed at their server.
    """

    first_token_ms: float | None = None
    tokens_per_s: float | None = None
    calls: int = 0
    failures: int = 0


def measure_models(names: Iterable[str]) -> dict[str, Speed]:
    """By the name that the bills say; models that nobody called in the last days are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, [list(names)])
        return {
            name: Speed(
                first_token_ms, None if tokens_per_s is None else float(tokens_per_s), calls, failures
            )
            for name, first_token_ms, tokens_per_s, calls, failures in cursor.fetchall()
        }
