"""What a scenario found, as rows of a table and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number. goal: "<= 10", ">= 8000" or nothing."""

    scenario: str
    name: str
    value: float
    unit: str
    goal: str = ""

    @property
    def is_reached(self) -> bool | None:
        if not self.goal:
            return None
        sign, bound = self.goal.split()
        return (
            self.value <= float(bound) if sign == "<=" else self.value >= float(bound)
        )


def percentile(values: Sequence[float], share: float) -> float:
    """0.99 of the values are at most this. Not a number where there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Sequence[Figure]) -> str:
    """Aligned text, a line for each figure."""
    rows = [("scenario", "figure", "value", "unit", "goal", "")]
    rows += [_row(figure) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[5]]).rstrip())
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, str, str, str, str, str]:
    verdict = {None: "", True: "reached", False: "missed"}[figure.is_reached]
    digits = 0 if abs(figure.value) >= 1000 else 2
    value = f"{figure.value:,.{digits}f}"
    return figure.scenario, figure.name, value, figure.unit, figure.goal, verdict
