"""Draw the pictures of README and documentation from the library itself and from results/.

    python tools/docs_pictures.py           # write docs/assets/*.svg
    python tools/docs_pictures.py --check   # exit 1 where a picture is out of date

Rates are those that the rules give. The losses that a rule is walked along, and the runs that were
trained, are committed records of the benchmark.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from docs_runs import looks_of, lowerings, replayed, shares, trained_runs
from docs_svg import THEMES, Picture

from autowarmup.rules import Run

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "docs" / "assets"
Points = list[tuple[float, float]]


def ramp(family: str, trained: bool = False) -> int:
    """Return the updates of a full ramp of the default rule where tokens are not known."""
    run = Run(100_000, family=family, trained=trained)
    return 1 + next(k for k, share in enumerate(shares("paced", run)) if share == 1.0)


def thinned(values: list[float], most: int = 150) -> Points:
    """Return points (update, value), evenly, and with them the highest one and the last."""
    kept = set(range(0, len(values), max(1, len(values) // most)))
    kept |= {values.index(max(values)), len(values) - 1}
    return [(k, values[k]) for k in sorted(kept)]


def times(updates: list[int]) -> str:
    """Return updates in words: "update 3", "updates 3 and 5"."""
    *first, last = (f"{update:,}" for update in updates)
    return f"updates {', '.join(first)} and {last}" if first else f"update {last}"


def ticks(first: float, last: float, most: int = 6) -> dict[float, str]:
    """Return position -> words of at most so many even ticks."""
    for step_ in (0.1, 0.2, 0.5, 1.0, 2.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0):
        marks = [k * step_ for k in range(math.ceil(first / step_), int(last / step_ + 1e-9) + 1)]
        if len(marks) <= most:
            return {mark: f"{mark:,.4g}" if mark < 1000 else f"{mark:,.0f}" for mark in marks}
    raise ValueError(f"expected fewer than 12,000 updates, got {last:g}")


def _axes(picture: Picture, last: int) -> None:
    heights = {0.0: "0", 0.5: "½", 1.0: "peak"}
    picture.axes(ticks(0, last), heights, "update", "learning rate")


def curves(theme: str) -> Picture:
    """The default beside hand-tuned lengths, over a run of 10,000 updates."""
    muon, other, total = ramp("spectral"), ramp("sign"), 10_000
    lengths = ("1", "5", "10", "20", "40")
    picture = Picture(
        theme,
        "Learning rate over a run of 10,000 updates. By hand, warm-up is tried at 1, 5, 10, 20 and "
        f"40 % of the run. autowarmup takes {muon:,} updates for Muon and {other:,} for Lion and "
        "AdamW, untuned.",
        (0, total),
        (0, 1.0),
        size=(560, 356),
        top=90,
    )
    _axes(picture, total)
    for length in lengths:
        rates = shares(f"linear {length}%", Run(total))
        picture.line(thinned(rates, 90), "hand", 1.3, "5 4")
    for family, width in (("spectral", 3.4), ("sign", 3.4)):
        picture.line(thinned(shares("paced", Run(total, family=family)), 200), "ours", width)
    picture.words((0, 1), "autowarmup", "ours", by=(0, -62), bold=True)
    words = f"Muon: {muon:,} updates · Lion, AdamW: {other:,}"
    picture.words((0, 1), words, "ours", by=(0, -40))
    picture.words((total, 1), "tried by hand", "hand", by=(0, -62), anchor="end", bold=True)
    picture.words((total, 1), "1 to 40 %", "hand", by=(0, -40), anchor="end")
    return picture


RAMPS = (("spectral", "Muon"), ("frobenius", "normalized SGD"), ("preconditioned", "SOAP, Shampoo"),
         ("sign", "Lion, AdamW, ..."))  # fmt: skip


def ramps(theme: str) -> Picture:
    """Step 1: how long the ramp is."""
    rows = [(name, ramp(family)) for family, name in RAMPS]
    rows.append(("a model that is trained already, at most", ramp("sign", trained=True)))
    said = "; ".join(f"{name}: {length:,}" for name, length in rows)
    picture = Picture(
        theme,
        f"The ramp is a straight line, as long as optimizers of a class need, in updates: {said}.",
        (0, 4_000),
        (0, len(rows)),
        size=(560, 300),
        left=14,
        top=8,
    )
    picture.axes(ticks(0, 4_000), {}, "update")
    for k, (name, length) in enumerate(reversed(rows)):
        picture.line([(0, k), (4_000, k)], "grid", 1)
        picture.line([(0, k), (length, k + 0.72), (4_000, k + 0.72)], "ours", 2.6)
        picture.words((length, k), f"{name}: {length:,}", by=(14, -10))
    return picture


def looks(theme: str) -> Picture:
    """Step 2: the level of the loss at each look, against the lowest before."""
    losses, states = replayed()
    lowered = lowerings(states)[0]
    last = min(len(losses), max(200, 100 * math.ceil(lowered / 80)))
    seen = [(at, known) for at, known in looks_of(states) if at <= last and known.levels]
    here = next(known for at, known in seen if at == lowered)
    assert here.best is not None
    risen = 100 * (here.levels[-1].mean / here.best.mean - 1)
    lowest = min(known.levels[-1].mean for _, known in seen)
    low, high = 0.91 * lowest, max(1.32 * lowest, 1.06 * here.levels[-1].mean)
    width = max(1, last // 100)
    means = [sum(losses[k : k + width]) / width for k in range(0, last - width + 1, width)]
    picture = Picture(
        theme,
        f"The loss is looked at eight times while the time doubles. At update {lowered:,} its "
        f"level lies {risen:.0f} % above the lowest before, so the rate is halved.",
        (0, last),
        (low, high),
        size=(560, 316),
        top=36,
    )
    picture.axes(ticks(0, last), ticks(low, high, 4), "update", "loss")
    for points in _below(high, [(width * (k + 0.5), mean) for k, mean in enumerate(means)]):
        picture.line(points, "muted", 1.0)
    for at, known in seen:
        if known.levels[-1].mean <= high:
            fired = at == lowered
            picture.mark((at, known.levels[-1].mean), "trouble" if fired else "ours", 6)
    picture.line([(0, here.best.mean), (last, here.best.mean)], "ours", 1.6, "5 4")
    picture.words((0, here.best.mean), "lowest level before", "ours", by=(8, 20), size=15)
    picture.words((lowered, here.levels[-1].mean), f"risen by {risen:.0f} %", "trouble",
                  by=(-10, -14), anchor="end", bold=True)  # fmt: skip
    picture.words((last, high), "dots: the level at each look; thin: the loss", "muted",
                  by=(0, -14), anchor="end", size=15)  # fmt: skip
    return picture


def brake(theme: str) -> Picture:
    """Step 3: the rate is halved and climbs back."""
    losses, states = replayed()
    rates, lowered, last = [s.factor for s in states[:-1]], lowerings(states), len(losses)
    ended = next(k for k, state in enumerate(states) if state.phase == "decay")
    picture = Picture(
        theme,
        f"The rate is halved at {times(lowered)}, climbs back slowly while the loss is watched, "
        f"and decays from what was reached after update {ended:,}.",
        (0, last),
        (0, 1.0),
        size=(560, 316),
        top=36,
    )
    _axes(picture, last)
    picture.line(thinned(shares("paced(sure=1e9)", Run(last), losses)), "hand", 1.6, "5 4")
    picture.line(thinned(rates, 400), "ours", 3.2)
    for at in lowered:
        picture.mark((at, rates[at]), "trouble", 6)
    picture.words((lowered[0], rates[lowered[0]]), "halved", "trouble", by=(-10, 6), anchor="end",
                  bold=True)  # fmt: skip
    picture.words((last, 1), "dashed: the ramp alone, and its decay", "hand",
                  by=(0, -14), anchor="end", size=15)  # fmt: skip
    return picture


def trained(theme: str) -> Picture:
    """Step 4: what came of it in a run that was trained with the rule."""
    ours, hand = trained_runs()
    lowered, width, last = ours["lowered"], ours["trace"]["stretch"], ours["setup"]["steps"]
    losses = ours["trace"]["loss"]
    low, high = 0.76 * min(losses), 2.1 * min(losses)
    picture = Picture(
        theme,
        f"Two runs at four times the best rate. With the default the rate is halved at "
        f"{times(lowered)} and the run ends at a validation loss of {ours['val_loss']:.2f}; with a "
        f"hand-tuned warm-up over 10 % of the run it ends at {hand['val_loss']:.2f}.",
        (0, last),
        (low, high),
        size=(560, 316),
        top=36,
    )
    picture.axes(ticks(0, last), ticks(low, high, 4), "update", "loss")
    for run, colour, thick, dash in ((hand, "hand", 1.8, "5 4"), (ours, "ours", 3.0, "")):
        points = [(width * (k + 0.5), loss) for k, loss in enumerate(run["trace"]["loss"])]
        for stretch in _below(high, points):
            picture.line(stretch, colour, thick, dash)
    for at in lowered:
        picture.mark((at, losses[at // width]), "trouble", 6)
    picture.words((lowered[0], losses[lowered[0] // width]), "rate halved here", "trouble",
                  by=(-2, 50), anchor="end", bold=True)  # fmt: skip
    picture.words((last, high), f"linear 10 %: ends at {hand['val_loss']:.2f}", "hand",
                  by=(0, 30), anchor="end", bold=True)  # fmt: skip
    picture.words((last, low), f"paced: ends at {ours['val_loss']:.2f}", "ours", by=(0, -12),
                  anchor="end", bold=True)  # fmt: skip
    return picture


def _below(top: float, points: Points) -> list[Points]:
    """Return the stretches of a line that lie below the top of the picture."""
    groups = groupby(points, lambda point: point[1] <= top)
    return [list(stretch) for below, stretch in groups if below]


PICTURES: dict[str, Callable[[str], Picture]] = {
    "rates": curves,
    "step-1-ramp": ramps,
    "step-2-look": looks,
    "step-3-brake": brake,
    "step-4-run": trained,
}


def files() -> dict[Path, str]:
    """Return every picture, light and dark."""
    return {
        ASSETS / f"{name}-{theme}.svg": draw(theme).svg()
        for name, draw in PICTURES.items()
        for theme in THEMES
    }


def main() -> int:
    """Write or check the pictures."""
    checking, stale = "--check" in sys.argv[1:], 0
    for path, text in files().items():
        if not checking:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale = 1
            print(f"{path.name} is out of date: run python tools/docs_pictures.py", file=sys.stderr)
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
