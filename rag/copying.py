"""Many rows at once, by COPY instead of an INSERT with as many parameters."""

from collections.abc import Iterable, Sequence

from django.db import connection
from django.db.models import Model
from psycopg import sql


def write_array(numbers: Iterable[int | str]) -> str:
    """As PostgreSQL reads it; of many, in a tenth of the time that its driver takes."""
    return "{" + ",".join(map(str, numbers)) + "}"


def copy_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Each row's values in the order of the columns; the database's own defaults stand for what is not named,
    not the model's.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
