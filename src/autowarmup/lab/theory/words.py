"""The table in words: what the page and the terminal both say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autowarmup.lab.theory.rows import UNITS, Row
from autowarmup.lab.theory.verify import Report


@dataclass(frozen=True)
class Line:
    """One statement over all its objectives.

    Attributes:
        statement: its number and words.
        verdict: "pass", "fail" or "vacuous"; of a control, "caught" or "missed".
        rows: what it stands for, the least margin first.
        instances: how many were checked.
        violations: in how many it was violated.
        silent: in how many it says nothing.
    """

    statement: str
    verdict: str
    rows: Sequence[Row]
    instances: int
    violations: int
    silent: int

    @property
    def worst(self) -> Row:
        """The row with the least margin."""
        return self.rows[0]

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.verdict in ("pass", "vacuous", "caught")


def lines(report: Report) -> dict[str, list[Line]]:
    """Return title of a group -> its statements; a control is a line of its own."""
    held: dict[str, dict[tuple[str, bool], list[Row]]] = {}
    for row in report.rows:
        group = held.setdefault(f"{row.group}  {UNITS[row.group]}", {})
        group.setdefault((row.statement, row.expected_fail), []).append(row)
    return {
        title: [_line(words, control, rows) for (words, control), rows in group.items()]
        for title, group in held.items()
    }


def _line(statement: str, control: bool, rows: Sequence[Row]) -> Line:
    # What says nothing has no margin; of what is left the least one counts.
    rows = sorted(rows, key=lambda row: (row.verdict == "vacuous", row.margin))
    if control:
        verdict = "caught" if all(row.as_it_should for row in rows) else "missed"
    else:
        verdict = "fail" if any(row.verdict == "fail" for row in rows) else rows[0].verdict
    words = statement.removeprefix("zoo: ").removeprefix("printed: ")
    total = {name: sum(getattr(row, name) for row in rows)
             for name in ("instances", "violations", "silent")}  # fmt: skip
    return Line(words, verdict, rows, **total)


def headline(report: Report) -> str:
    """Return the table in one sentence."""
    numbers = report.summary()
    violated = numbers["violations"]
    held = (
        f"none of the {numbers['statements']} statements is violated"
        if not violated
        else f"{len({row.statement for row in report.wrong if not row.expected_fail})} of the "
        f"{numbers['statements']} statements are violated ({violated:,} times)"
    )
    return (
        f"On {numbers['functions']:,} random functions {held}; {numbers['caught']} of "
        f"{numbers['controls']} false statements and wrong constants are caught."
    )


def number(value: float) -> str:
    """Return a number as the table shows it.

    Example:
        >>> number(12.0), number(0.000123456), number(-45.6517), number(float("inf"))
        ('12', '0.0001235', '-45.65', 'inf')
    """
    return f"{value:.4g}"


def margin(value: float) -> str:
    """Return a margin, a share of the larger side; rounding counts as 0.

    Example:
        >>> margin(0.1234), margin(-3e-16), margin(-2.5), margin(-1e300)
        ('12.3 %', '0', '-250 %', 'unbounded')
    """
    if abs(value) < 1e-9:
        return "0"
    if value < -1e6:
        return "unbounded"
    return f"{100 * value:.3g} %"


def facts(report: Report) -> list[tuple[str, str, bool]]:
    """Return where the numbers come from: (name, text, whether it is code)."""
    where: Mapping[str, object] = report.environment
    return [
        *([("Command", report.command, True)] if report.command else []),
        ("Random functions", f"{report.instances:,} of each kind", False),
        ("Seed", str(report.seed), False),
        *([("Left out", report.left_out, False)] if report.left_out else []),
        ("Environment", ", ".join(f"{key} {value}" for key, value in where.items()), False),
        ("Data behind this page", "theory.json, in the same directory", False),
    ]
