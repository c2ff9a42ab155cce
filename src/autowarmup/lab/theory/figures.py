"""The two comparisons as files: JSON records, and figures that are drawn from nothing else.

OUT/separation.json   fixed step against warm-up for gradient descent
OUT/picture.json      rates of lmo methods in three norms
OUT/figures/          each as SVG and PNG
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.files import write_aside
from autowarmup.lab.report import style
from autowarmup.lab.theory.picture import picture
from autowarmup.lab.theory.picture_figure import draw_picture
from autowarmup.lab.theory.separation import separate
from autowarmup.lab.theory.separation_figure import draw_separation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Json = Mapping[str, Any]

FIGURES: dict[str, Callable[[Json], Figure]] = {
    "separation": draw_separation,
    "picture": draw_picture,
}


def write_figures(out: str | Path, seed: int = 0, command: str = "") -> list[Path]:
    """Run both comparisons, write their records and draw them; return the paths of the SVG files.

    About a minute and a half on one core.

    Args:
        out: folder.
        seed: the same seed gives the same numbers.
        command: what was typed, for the records.

    Raises:
        ValueError: a negative seed.
    """
    if seed < 0:
        raise ValueError(f"expected a seed >= 0, got {seed}")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, record in (
        ("separation", lambda: separate(seed=seed, command=command)),
        ("picture", lambda: picture(seed=seed, command=command)),
    ):
        text = json.dumps(record(), indent=1, allow_nan=False) + "\n"
        write_aside(out / f"{name}.json", text.encode())
    return draw(out)


def draw(out: str | Path) -> list[Path]:
    """Draw every record that OUT holds and return the paths of the SVG files."""
    out, drawn = Path(out), []
    for name, drawing in FIGURES.items():
        if (out / f"{name}.json").exists():
            record = json.loads((out / f"{name}.json").read_text())
            with style.styled(f"theory-{name}"):
                style.save(drawing(record), out / "figures", name)
            drawn.append(out / "figures" / f"{name}.svg")
    return drawn
