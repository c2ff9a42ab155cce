"""One look for all figures: a wide and a narrow drawing of each, as reproducible SVG files.

Text in them stays text, in the reader's own sans-serif font. Figures are laid out in DejaVu Sans,
which is wider than what people have, so that words fit in other fonts too.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.report import palette
from autowarmup.lab.report.words import broken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawing = tuple[Callable[[], "Figure | None"], Callable[[], str]]
"""What draws a figure, and what says its finding, in one sentence: that is asked of drawn ones."""

NARROW = "-narrow"
"""Ending of the name of a drawing for the width of a telephone."""
_NARROW_INCHES = 3.85
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": palette.OTHER,
    "axes.labelcolor": palette.MUTED,
    "axes.titlecolor": palette.INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": palette.GRID,
    "text.color": palette.INK,
    "xtick.color": palette.MUTED,
    "ytick.color": palette.MUTED,
    "figure.facecolor": palette.GROUND,
    "axes.facecolor": palette.GROUND,
    "savefig.facecolor": palette.GROUND,
    "legend.frameon": False,
    "patch.edgecolor": palette.OTHER,
    "svg.fonttype": "none",
}


@contextmanager
def styled(name: str, *, narrow: bool = False) -> Iterator[None]:
    """Draw in this style; `name` seeds the ids inside SVG files, so that files are reproducible."""
    import matplotlib

    look: dict[Any, Any] = {**_RC, "svg.hashsalt": f"autowarmup-{name}"}
    before = _narrow.set(narrow)
    try:
        with matplotlib.rc_context(look):
            yield
    finally:
        _narrow.reset(before)


def is_narrow() -> bool:
    """Return whether the figure is drawn for the width of a telephone."""
    return _narrow.get()


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = min(width, _NARROW_INCHES) if is_narrow() else width
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(
    count: int,
    *,
    rows_each: int = 1,
    height: float = 3.3,
    width: float | None = None,
    most: int = 3,
) -> tuple[Figure, list[Any]]:
    """Return a figure with `count` columns of `rows_each` panels, wrapped to fit its width.

    Not more than `most` stand side by side, on a telephone one. The list has one entry per column:
    its panels from top to bottom. `width` is that of a wide figure, in inches.
    """
    columns = 1 if is_narrow() else count if count <= most else 2 if count == 4 else most
    blocks = math.ceil(count / columns)
    height = min(height, 2.9) if is_narrow() else height
    wide = width or {1: 7.0, 2: 9.6}.get(columns, 11.7)
    figure = canvas(wide, height * blocks * rows_each + 0.5)
    axes = figure.subplots(blocks * rows_each, columns, squeeze=False)
    chosen = []
    for index in range(blocks * columns):
        block, column = divmod(index, columns)
        cells = [axes[block * rows_each + row][column] for row in range(rows_each)]
        if index < count:
            chosen.append(cells)
        else:
            for cell in cells:
                cell.remove()
    return figure, chosen


def length_colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per hand-tuned length, the shortest first: from pale to dark blue.

    Example:
        >>> length_colours(["linear 5%"]) == {"linear 5%": palette.LENGTHS[4]}
        True
    """
    steps = len(palette.LENGTHS) - 1
    last = len(names) - 1
    return {
        name: palette.LENGTHS[round(index / last * steps) if last else steps // 2 + 1]
        for index, name in enumerate(names)
    }


def svg_text(figure: Figure, finding: str) -> str:
    """Return a figure as SVG: the same text every time for the same data, the finding its title."""
    held = io.StringIO()
    figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None, "Title": finding})
    text = re.sub(r"<metadata>.*?</metadata>\n? *", "", held.getvalue(), flags=re.DOTALL)
    text = re.sub(r"('DejaVu Sans'(, )?)+", "sans-serif", text)
    # The outline of words is not drawn: browsers paint it behind them.
    outline = (
        f"paint-order: stroke; stroke: {palette.GROUND}; stroke-width: 3; stroke-linejoin: round"
    )
    return text.replace('<g id="halo">', f'<g style="{outline}">')


def save_all(drawings: Mapping[str, Drawing], folder: Path, room: str) -> list[str]:
    """Write NAME.svg and NAME-narrow.svg of every figure that has something to show.

    Figures of an earlier drawing that have no data any more are removed. Returns the names of what
    was drawn.
    """
    drawn = []
    for name, (drawing, finding) in drawings.items():
        for ending in ("", NARROW):
            path = folder / f"{name}{ending}.svg"
            with styled(f"{room}-{name}{ending}", narrow=bool(ending)):
                if (figure := drawing()) is None:
                    path.unlink(missing_ok=True)
                    continue
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(svg_text(figure, finding()), encoding="utf-8")
            drawn += [name] if not ending else []
    return drawn


def stroke(colour: str, width: float = 2.0, **look: Any) -> Any:
    """Return a line for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=width, **look)


def dot(colour: str, size: float = 8.0, **look: Any) -> Any:
    """Return a mark for a legend."""
    from matplotlib.lines import Line2D

    look = {"marker": "o", "markerfacecolor": colour, "markeredgecolor": colour, **look}
    return Line2D([], [], linestyle="none", markersize=size, **look)


def legend(figure: Figure, entries: Mapping[str, Any], *, below: bool = False) -> None:
    """Put one legend above or below all panels, in as many columns as fit the figure's width."""
    inches = 0.078 * max(len(entry) for entry in entries) + 0.6
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower left" if below else "outside upper left",
        ncols=max(1, min(len(entries), int(figure.get_figwidth() / inches))),
        handlelength=2.2,
        columnspacing=1.4,
        fontsize=10,
    )


def title(axes: Axes, name: str, words: str, **look: Any) -> None:
    """Put a title and a line of smaller words above a panel, both broken to fit its width."""
    letters = 30 if is_narrow() else 40
    smaller = broken(words, round(1.3 * letters))
    # The title keeps free the lines that the words will take.
    room = "\n" * (1 + smaller.count("\n"))
    axes.set_title(broken(name, letters) + room, fontsize=10.5)
    place = {"transform": axes.transAxes, "va": "bottom", "fontsize": 9}
    axes.text(0, 1.03, smaller, **place, **look)


def label(
    axes: Axes, at: tuple[float, float], by: tuple[float, float], words: str, **look: Any
) -> None:
    """Write words beside a point, `by` so many typographic points off, readable on lines."""
    look = {"fontsize": 10.5, "zorder": 8, "gid": "halo", **look}
    axes.annotate(words, at, xytext=by, textcoords="offset points", **look)
