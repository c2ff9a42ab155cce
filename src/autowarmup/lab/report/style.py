"""One look for all figures: colours that colour-blind readers can tell, and reproducible files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
MUTED = "#66727f"
FAINT = "#dde3e9"
ADAPTIVE = "#d55e00"
HAND_TUNED = "#2a5c8f"
TROUBLE = "#8b1a1a"
_RAMP = ("#b9c4ce", "#0b3d6e")

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef1f4",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
    "svg.fonttype": "path",
}


@contextmanager
def styled(name: str) -> Iterator[None]:
    """Draw in this style; `name` seeds the ids inside SVG files, so that files are reproducible."""
    import matplotlib

    look: dict[Any, Any] = {**_RC, "svg.hashsalt": f"autowarmup-{name}"}
    with matplotlib.rc_context(look):
        yield


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(count: int, *, rows_each: int = 1, height: float = 3.3) -> tuple[Figure, list[Any]]:
    """Return a figure with `count` columns of `rows_each` panels, wrapped to fit a laptop.

    The list has one entry per column: its panels from top to bottom.
    """
    columns = next((c for c in (4, 3) if count % c == 0), min(count, 3)) if count > 2 else count
    blocks = math.ceil(count / columns)
    width = {1: 7.0, 2: 10.0, 3: 13.0}.get(columns, 15.5)
    figure = canvas(width, height * blocks * rows_each + 0.5)
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


def ramp(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per hand-tuned length, the shortest first: from pale to dark blue."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    colours = LinearSegmentedColormap.from_list("hand-tuned", _RAMP)
    last = max(1, len(names) - 1)
    return {name: to_hex(colours(index / last)) for index, name in enumerate(names)}


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `name`.svg and `name`.png, the same bytes every time for the same data."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})


def save_all(
    drawings: Mapping[str, Callable[[], Figure | None]], folder: Path, room: str
) -> list[str]:
    """Draw and write every figure that has something to show; return the names of those."""
    drawn = []
    for name, drawing in drawings.items():
        with styled(f"{room}-{name}"):
            if (figure := drawing()) is not None:
                save(figure, folder, name)
                drawn.append(name)
    return drawn


def stroke(colour: str, width: float = 2.0, **look: Any) -> Any:
    """Return a line for a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=width, **look)


def dot(colour: str, size: float = 8.0, **look: Any) -> Any:
    """Return a mark for a legend."""
    from matplotlib.lines import Line2D

    look = {"marker": "o", "markerfacecolor": colour, "markeredgecolor": colour, **look}
    return Line2D([], [], color="none", markersize=size, **look)


def legend(figure: Figure, entries: Mapping[str, Any]) -> None:
    """Put one legend for all panels above them, in as many columns as fit the figure's width."""
    inches = 0.078 * max(len(entry) for entry in entries) + 0.5
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper left",
        ncols=max(1, min(len(entries), int(figure.get_figwidth() / inches))),
        handlelength=1.6,
        columnspacing=1.4,
        fontsize=10,
    )


def halo() -> list[Any]:
    """Return a white outline that keeps text readable on lines and points."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3, foreground="white")]


def label(
    axes: Axes, at: tuple[float, float], by: tuple[float, float], words: str, **look: Any
) -> None:
    """Write words beside a point, `by` so many typographic points off, readable on lines."""
    axes.annotate(words, at, xytext=by, textcoords="offset points", fontsize=10.5,
                  path_effects=halo(), zorder=8, **look)  # fmt: skip
