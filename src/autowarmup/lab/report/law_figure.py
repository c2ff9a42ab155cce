"""The curve of one law, from gap to rate, as a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autowarmup.lab.report import style
from autowarmup.rules.gap_law.law import SmoothnessLaw


def draw_law(law: SmoothnessLaw, *, gap0: float, lr: float, path: str | Path) -> None:
    """Draw eta(gap) with its peak rate `lr` from the first gap (left) to 0, as training walks it.

    Raises:
        ValueError: a path that ends neither in .svg nor in .png.
    """
    path = Path(path)
    if path.suffix not in (".svg", ".png"):
        raise ValueError(f"figure: expected a file that ends in .svg or .png, got {path}")
    with style.styled("law"):
        figure, ((axes,),) = style.panels(1, height=3.6)
        gaps = np.linspace(gap0 / 1000, gap0, 1000)
        warm, look = gaps >= law.peak_gap, {"color": style.MUTED, "dashes": (3, 2)}
        axes.plot(gaps[warm], law.rate(gaps[warm]), color=style.ADAPTIVE, linewidth=2.6)
        axes.plot(gaps[~warm], law.rate(gaps[~warm]), linewidth=1.6, **look)
        axes.plot([law.peak_gap], [lr], "o", color=style.ADAPTIVE)
        right = law.peak_gap < gap0 / 2
        words = f"warm-up ends at gap {law.peak_gap:.3g}, rate {lr:g}"
        by = (-8 if right else 8, 8)
        style.label(axes, (law.peak_gap, lr), by, words, ha="right" if right else "left")
        axes.set_title("The rate that follows from the gap")
        axes.set_xlim(gap0, 0)
        axes.set_ylim(0, 1.15 * lr)
        axes.set_xlabel("gap: loss above its lower bound (training goes to the right)")
        axes.set_ylabel("learning rate")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)
