"""A small hand for the documentation's pictures: axes, lines and words as SVG, light and dark.

Text stays text, in the reader's own sans-serif font, so that it can be searched, read aloud and
scaled; a picture says its finding in its title and description.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from autowarmup.lab.report.palette import MEANINGS

_NAMES = {"ink": "ink", "muted": "muted", "grid": "line", "ground": "ground", "ours": "default",
          "hand": "hand", "trouble": "worse"}  # fmt: skip
THEMES = {
    theme: {name: MEANINGS[meaning][at] for name, meaning in _NAMES.items()}
    for at, theme in enumerate(("light", "dark"))
}
"""Colour by meaning: what this library does, what is hand-tuned, and where the loss rises."""

Points = Sequence[tuple[float, float]]


@dataclass
class Picture:
    """One pair of axes; x and y in the units of the data.

    Args:
        theme: "light" or "dark".
        title: the finding, in a sentence.
        x: first and last value.
        y: lowest and highest value.
        size: width and height in pixels of a picture at its own size.
    """

    theme: str
    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    size: tuple[int, int] = (560, 330)
    left: int = 52
    top: int = 20
    bottom: int = 48
    right: int = 14
    parts: list[str] = field(default_factory=list)

    def ink(self, name: str) -> str:
        """Return a colour by what it means."""
        return THEMES[self.theme][name]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point of the data."""
        (x0, x1), (y0, y1), (width, height) = self.x, self.y, self.size
        across = self.left + (x - x0) / (x1 - x0) * (width - self.left - self.right)
        down = height - self.bottom - (y - y0) / (y1 - y0) * (height - self.top - self.bottom)
        return round(across, 1), round(down, 1)

    def axes(
        self, xs: dict[float, str], ys: dict[float, str], x_name: str, y_name: str = ""
    ) -> None:
        """Draw grid, ticks and names; `xs` and `ys` are position -> words.

        The name of y stands above its ticks: leave 34 pixels on top for it.
        """
        (x0, x1), (y0, y1) = self.x, self.y
        for y, words in ys.items():
            self.line([(x0, y), (x1, y)], "grid", 1)
            self.words((x0, y), words, "muted", by=(-8, 5), anchor="end", size=15)
        for x, words in xs.items():
            anchor = "end" if x == x1 else "middle"
            self.words((x, y0), words, "muted", by=(0, 20), anchor=anchor, size=15)
        self.words((x1, y0), x_name, "muted", by=(0, 40), anchor="end", size=15)
        if y_name:
            self.words((x0, y1), y_name, "muted", by=(-self.left + 4, -18), size=15)

    def line(self, points: Points, colour: str, width: float, dash: str = "") -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:g},{y:g}" for x, y in (self.at(*point) for point in points))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{self.ink(colour)}" '
            f'stroke-width="{width:g}" stroke-linejoin="round"{dashed}/>'
        )

    def mark(self, point: tuple[float, float], colour: str, radius: float = 5) -> None:
        """Draw a dot."""
        x, y = self.at(*point)
        self.parts.append(f'<circle cx="{x}" cy="{y}" r="{radius:g}" fill="{self.ink(colour)}"/>')

    def words(
        self,
        point: tuple[float, float],
        text: str,
        colour: str = "ink",
        *,
        by: tuple[float, float] = (0, 0),
        anchor: str = "start",
        size: int = 16,
        bold: bool = False,
    ) -> None:
        """Write words so many pixels off a point."""
        x, y = self.at(*point)
        weight = ' font-weight="700"' if bold else ""
        self.parts.append(
            f'<text x="{x + by[0]:g}" y="{y + by[1]:g}" fill="{self.ink(colour)}" '
            f'font-size="{size}" text-anchor="{anchor}"{weight} paint-order="stroke" '
            f'stroke="{self.ink("ground")}" stroke-width="4">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """Return the file."""
        width, height = self.size
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect width="{width}" height="{height}" fill="{self.ink("ground")}"/>\n'
            f"{body}\n</svg>\n"
        )
