"""The rates of one schedule over the run, as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autowarmup.lab.report import palette, style


def draw_schedule(
    rates: Sequence[float],
    losses: Sequence[float | None] | None,
    *,
    title: str,
    end: int | None,
    path: Path,
) -> None:
    """Draw the rate of every update, and below it the losses that it followed.

    Args:
        rates: of every update.
        losses: of every update; `None` for a rule that follows none.
        title: above the rates.
        end: index of the first update after warm-up.
        path: a file that ends in .svg or .png.

    Raises:
        ValueError: another ending.
    """
    if path.suffix not in (".svg", ".png"):
        raise ValueError(f"figure: expected a file that ends in .svg or .png, got {path}")
    with style.styled("schedule"):
        rows = 1 if losses is None else 2
        figure, (panels,) = style.panels(1, rows_each=rows, height=3.6 if rows == 1 else 2.6)
        top = panels[0]
        last = len(rates) if end is None else end + 1
        top.plot(range(last), rates[:last], color=palette.DEFAULT, linewidth=2.6)
        after = range(last - 1, len(rates))
        top.plot(after, rates[last - 1 :], color=palette.MUTED, linewidth=1.6, dashes=(3, 2))
        if end is not None and end < len(rates):
            top.plot([end], [rates[end]], "o", color=palette.DEFAULT)
            top.annotate(
                f"warm-up ends at update {end}, rate {rates[end]:.3g}",
                (end, rates[end]),
                xytext=(8, 6),
                textcoords="offset points",
            )
        top.set_title(title)
        top.set_ylim(0, 1.15 * max(rates))
        top.set_ylabel("learning rate")
        if losses is not None:
            seen = [(k, loss) for k, loss in enumerate(losses) if loss is not None]
            panels[1].plot(*zip(*seen, strict=True), color=palette.INK, linewidth=1.6)
            panels[1].set_ylabel("loss")
        panels[-1].set_xlabel("update")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".svg":
            path.write_text(style.svg_text(figure, title), encoding="utf-8")
        else:
            figure.savefig(path, dpi=130, metadata={"Title": title})
