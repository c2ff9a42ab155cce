"""A record on the terminal: the verdict, the fits of the main quantity, where the page is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.curvature.names import law_name, quantity_name
from autowarmup.lab.curvature.notes import notes, trouble
from autowarmup.lab.curvature.page import PAGE
from autowarmup.lab.curvature.series import laws, main_quantity
from autowarmup.lab.report.numbers import interval_text, share, short

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

Json = Mapping[str, Any]


def print_record(
    record: Json, out: str | Path | None = None, console: Console | None = None
) -> None:
    """Print what was measured; with `out` also where its page lies."""
    from rich.console import Console as RichConsole

    console = console or RichConsole()
    console.print(record_table(record))
    if out is not None:
        console.print(f"Open {Path(out) / PAGE} in a browser.", markup=False, highlight=False)


def record_table(record: Json) -> Group:
    """Return what `print_record` prints, for a console of one's own."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(record["sentence"], style="bold"),
        *(Text(text, style="red") for text in trouble(record)),
        *([_fits(record)] if laws(record) else []),
        # The page has them all.
        *(Text(f"- {note}") for note in notes(record)[:3]),
    )


def _fits(record: Json) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    quantity = main_quantity(record)
    letter = "H" if quantity == "H" else "K"
    table = Table(
        box=SIMPLE,
        title=Text(f"{record['label']}: {quantity_name(quantity)}"),
        caption="95 % intervals below each constant",
    )
    table.add_column("fit", no_wrap=True)
    for name in (f"{letter}0", f"{letter}1", f"{letter}2", "rho", "R²"):
        table.add_column(name, justify="right")
    for law in laws(record):
        intervals = law.get("interval") or {}
        cells = [
            f"{short(law.get(name))}\n{interval_text(intervals.get(name), 2)}".rstrip()
            if name in (*law["terms"], "rho") and law.get(name) is not None
            else "–"
            for name in ("K0", "K1", "K_rho", "rho")
        ]
        table.add_row(law_name(law), *cells, share(law.get("r_squared")))
    return table
