"""The table of every command on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def table(
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    caption: str = "",
    main: int | None = None,
) -> Table:
    """Return a table that is narrow enough for 80 columns.

    Args:
        columns: (heading, whether it holds numbers, which stand on the right).
        rows: a cell per column: plain text, or a `rich` renderable.
        title: above it.
        caption: below it.
        main: index of the row in bold.
    """
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    built = Table(
        box=SIMPLE, padding=(0, 1, 0, 0), title=Text(title) if title else None, caption=caption
    )
    for at, (heading, right) in enumerate(columns):
        # The first cell is a name, which may be as long as its settings are many.
        built.add_column(heading, justify="right" if right else "left", no_wrap=at > 0)
    for at, row in enumerate(rows):
        cells = [Text(cell) if isinstance(cell, str) else cell for cell in row]
        built.add_row(*cells, style="bold" if at == main else None)
    return built
