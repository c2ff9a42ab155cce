"""The table of statements with its source: JSON, page, terminal, and one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.history import strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json, write_text
from autowarmup.lab.report.numbers import short
from autowarmup.lab.report.page import render
from autowarmup.lab.theory.rows import UNITS, Row, join

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FORMAT = "autowarmup-theory-1"
FILE, PAGE = "theory.json", "theory.html"
_STYLES = {"pass": "green", "caught": "green", "vacuous": "yellow", "fail": "bold red",
           "missed": "bold red"}  # fmt: skip


@dataclass
class Report:
    """The table and where it comes from."""

    rows: list[Row]  # all rows, in the order of `UNITS`
    instances: int  # random instances of every family
    seed: int  # of all of them
    functions: int  # how many random functions that makes
    seconds: float = 0.0  # what it took
    command: str = ""  # the command line, where there was one
    left_out: str = ""  # what was not checked and why, a sentence; empty where all was
    environment: dict[str, Any] = field(default_factory=environment)  # versions and machine

    @property
    def wrong(self) -> list[Row]:
        """The rows that are not as they should be."""
        return [row for row in self.rows if not row.as_it_should]

    def summary(self) -> dict[str, int]:
        """Return the counts of the last line of the table."""
        true = [row for row in self.rows if not row.expected_fail]
        false = [row for row in self.rows if row.expected_fail]
        return {
            "statements": len({row.statement for row in true}),
            "rows": len(self.rows),
            "functions": self.functions,
            "checks": sum(row.instances for row in true),
            "violations": sum(row.violations for row in true),
            "vacuous": sum(row.verdict == "vacuous" for row in true),
            "controls": len(false),
            "caught": sum(row.as_it_should for row in false),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return strict_json({
            "format": FORMAT, "command": self.command, "seed": self.seed,
            "instances": self.instances, "seconds": round(self.seconds, 1),
            "left_out": self.left_out,
            "summary": self.summary(), "environment": self.environment,
            "rows": [row.to_dict() for row in self.rows],
        })  # fmt: skip

    def write(self, out: Path) -> Path:
        """Write OUT/theory.json and OUT/theory.html, self-contained; return the page's path."""
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / FILE, self.to_dict())
        page = render(
            PAGE, room="theory", filters={"number": number, "margin": margin},
            headline=headline(self), groups=lines(self), facts=_facts(self),
        )  # fmt: skip
        write_text(out / PAGE, page)
        return out / PAGE


@dataclass(frozen=True)
class Line:
    """One statement over all its objectives."""

    statement: str  # its number and words
    verdict: str  # "pass", "fail" or "vacuous"; of a control, "caught" or "missed"
    rows: Sequence[Row]  # what it stands for, the least margin first
    total: Row  # the worst of them, with the sums of the counts

    @classmethod
    def of(cls, statement: str, control: bool, rows: Sequence[Row]) -> Line:
        """Return the line of rows with one statement."""
        total, words = join(rows), statement.removeprefix("zoo: ").removeprefix("printed: ")
        verdict: str = total.verdict
        if control:
            verdict = "caught" if all(row.as_it_should for row in rows) else "missed"
        rows = sorted(rows, key=lambda row: (row.verdict == "vacuous", row.margin))
        return cls(words, verdict, rows, total)

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.verdict in ("pass", "vacuous", "caught")


def lines(report: Report) -> dict[str, list[Line]]:
    """Return title of a group -> its statements; a control is a line of its own."""
    held: dict[str, dict[tuple[str, bool], list[Row]]] = {}
    for row in report.rows:
        title = UNITS[row.group]
        group = held.setdefault(f"{row.group}  {title}" if "." in row.group else title, {})
        group.setdefault((row.statement, row.expected_fail), []).append(row)
    return {
        title: [Line.of(words, control, rows) for (words, control), rows in group.items()]
        for title, group in held.items()
    }


def headline(report: Report) -> str:
    """Return the table in one sentence."""
    numbers = report.summary()
    statements, violated = numbers["statements"], numbers["violations"]
    failed = len({row.statement for row in report.wrong if not row.expected_fail})
    held = f"none of the {statements} statements is violated"
    if violated:
        held = f"{failed} of the {statements} statements are violated ({violated:,} times)"
    return (
        f"On {numbers['functions']:,} random functions {held}; {numbers['caught']} of "
        f"{numbers['controls']} false statements and wrong constants are caught."
    )


def number(value: float) -> str:
    """Return a number as the table shows it; a run that diverged has the gap inf.

    Example:
        >>> number(12.0), number(0.000123456), number(float("inf"))
        ('12', '0.0001235', 'inf')
    """
    return "inf" if value == math.inf else short(value, 4)


def margin(value: float) -> str:
    """Return a margin, a share of the larger side; rounding counts as 0.

    Example:
        >>> margin(0.1234), margin(-3e-16), margin(-2.5), margin(-1e300)
        ('12.3 %', '0', '−250 %', 'unbounded')
    """
    if abs(value) < 1e-9:
        return "0"
    return "unbounded" if value < -1e6 else f"{short(100 * value)} %"


def _facts(report: Report) -> list[tuple[str, str, bool]]:
    """Return where the numbers come from: (name, text, whether it is code)."""
    where = ", ".join(f"{key} {value}" for key, value in report.environment.items())
    facts = [
        ("Command", report.command, True),
        ("Random functions", f"{report.instances:,} of each kind", False),
        ("Seed", str(report.seed), False),
        ("Left out", report.left_out, False),
        ("Environment", where, False),
        ("Data behind this page", "theory.json, in the same directory", False),
    ]
    return [fact for fact in facts if fact[1]]


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the table and its summary on the terminal."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console, bad = console or RichConsole(), "bold red"
    console.print(_table(report))
    for row in report.wrong:
        words = "was not caught" if row.expected_fail else "is violated"
        console.print(Text(f"{row.statement} {words} on {row.objective}", style=bad))
    console.print(Text(headline(report), style=bad if report.wrong else "bold green"))
    if report.left_out:
        console.print(Text(report.left_out, style="yellow"))
    console.print(Text(f"{report.seconds:.0f} seconds, seed {report.seed}", style="dim"))


def _table(report: Report) -> Table:
    """Return the table: a section per group, a line per statement."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    caption = (
        "margin: (bound - measured) / the larger, in the worst instance; "
        "caught: a false statement or a wrong constant, as it should be"
    )
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption=caption)
    table.add_column("statement")
    for name in ("checked", "margin", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right", no_wrap=True)
    for title, group in lines(report).items():
        table.add_row(Text(title, style="bold"), "", "", "")
        for line in group:
            # A control that one row stands for also says what is wrong.
            alone = line.verdict in ("caught", "missed") and len(line.rows) == 1
            words = f"{line.statement} ({line.total.objective})" if alone else line.statement
            verdict = Text(line.verdict, style=_STYLES[line.verdict])
            checked = f"{line.total.instances:,}"
            table.add_row(Text(f"  {words}"), checked, margin(line.total.margin), verdict)
        table.add_section()
    return table
