"""The table on the terminal: a line per statement, grouped, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autowarmup.lab.theory.verify import Report
from autowarmup.lab.theory.words import Line, headline, lines, margin

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {"pass": "green", "caught": "green", "vacuous": "yellow", "fail": "bold red",
           "missed": "bold red"}  # fmt: skip


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the table and its summary."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console = console or RichConsole()
    console.print(table(report))
    for row in report.wrong:
        told = "was not caught" if row.expected_fail else "is violated"
        console.print(Text(f"{row.statement} {told} on {row.objective}", style="bold red"))
    good = not report.wrong
    console.print(Text(headline(report), style="bold green" if good else "bold red"))
    if report.left_out:
        console.print(Text(report.left_out, style="yellow"))
    console.print(Text(f"{report.seconds:.0f} seconds, seed {report.seed}", style="dim"))


def table(report: Report) -> Table:
    """Return the table: a section per group, a line per statement."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    built = Table(
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        caption="margin: (bound - measured) / the larger, in the worst instance; "
        "caught: a false statement or a wrong constant, as it should be",
    )
    built.add_column("statement")
    built.add_column("checked", justify="right", no_wrap=True)
    built.add_column("margin", justify="right", no_wrap=True)
    built.add_column("verdict", no_wrap=True)
    for title, group in lines(report).items():
        built.add_row(Text(title, style="bold"), "", "", "")
        for line in group:
            style = _STYLES[line.verdict]
            built.add_row(
                Text(f"  {_words(line)}"),
                f"{line.instances:,}",
                margin(line.worst.margin),
                Text(line.verdict, style=style),
            )
        built.add_section()
    return built


def _words(line: Line) -> str:
    """Return the statement; of a control also what is wrong, where one row stands for it."""
    alone = line.verdict in ("caught", "missed") and len(line.rows) == 1
    return f"{line.statement} ({line.worst.objective})" if alone else line.statement
