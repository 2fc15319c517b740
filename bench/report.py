"""The one table that all benches end in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Row:
    """One figure beside its reference and its target. `limit` judges `ratio` where there is one,
    else `value`, as a ceiling or (`is_floor`) as a floor; no limit, no verdict.
    """

    what: str
    value: float | None
    unit: str
    reference: float | None = None
    reference_name: str = ""
    limit: float | None = None
    target: str = ""
    judge_ratio: bool = False
    note: str = ""
    is_floor: bool = False

    @property
    def ratio(self) -> float | None:
        """Measured against the reference."""
        return self.value / self.reference if self.value is not None and self.reference else None

    @property
    def verdict(self) -> str:
        """ok, over, or nothing where there is no target; missing where nothing was measured."""
        judged = self.ratio if self.judge_ratio else self.value
        if self.limit is None:
            return ""
        if judged is None:
            return "missing"
        if self.is_floor:
            return "ok" if judged >= self.limit else "UNDER"
        return "ok" if judged <= self.limit else "OVER"

    def cells(self) -> list[str]:
        """The row as text."""
        return [
            self.what,
            _number(self.value, self.unit),
            f"{_number(self.reference, self.unit)} {self.reference_name}".strip()
            if self.reference is not None
            else self.reference_name,
            f"{self.ratio:.2f} ×" if self.ratio else "",
            self.target,
            self.verdict,
            self.note,
        ]

    def as_json(self) -> dict[str, Any]:
        """The row for scripts."""
        return asdict(self) | {"ratio": self.ratio, "verdict": self.verdict}


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 4
    return f"{value:,.{digits}f} {unit}".strip()


def table(rows: list[Row]) -> str:
    """A Markdown table with even columns."""
    lines = [
        ["figure", "measured", "reference", "ratio", "target", "verdict", "note"],
        *(row.cells() for row in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
