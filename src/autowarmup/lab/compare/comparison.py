"""What a comparison is to whoever asked for it: plain JSON values that lead to their page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.claim import claimed
from autowarmup.lab.compare.page import write_page
from autowarmup.lab.compare.picture import draw_differences
from autowarmup.lab.compare.words import headline, sentences

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Comparison(dict[str, Any]):
    """A dictionary as in summary.json."""

    def report(self, out: str | Path | None = None) -> str:
        """Return what the comparison says, in sentences.

        Args:
            out: a directory: also write the page OUT/report.html, its data and figure.

        Raises:
            ModuleNotFoundError: a package for pages is missing.
            ValueError: OUT is a file, or another process writes to it.
        """
        said = " ".join([headline(self), *sentences(self)])
        if out is None:
            return said
        with claimed(out):
            return f"{said} The page is {write_page(Path(out), self)}."

    def plot(self) -> Axes:
        """Return axes of matplotlib with the difference of each rule to the first.

        Raises:
            ValueError: no rule has a difference to draw.
        """
        figure = draw_differences(self)
        if figure is None:
            raise ValueError("plot: expected rules with a difference to the first, got none")
        return figure.axes[0]
