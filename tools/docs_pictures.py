"""Draw the pictures of README and documentation from the library itself and from results/.

    python tools/docs_pictures.py           # write docs/assets/*.svg
    python tools/docs_pictures.py --check   # exit 1 where a picture is out of date

Rates are those that the rules give. The losses that a rule is walked along, and the runs that were
trained, are committed records of the benchmark.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from docs_svg import THEMES, Picture

from autowarmup.rules import Run, Status, WarmupState, begin, rule_of, step
from autowarmup.rules.paced import Looks

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "docs" / "assets"
BENCH = ROOT / "results" / "bench"
RUNS = "runs/sgd-micro-b8-2500.jsonl"
BEST, FACTOR = 0.5, 4.0
"""The set-up of these runs: its best rate, and how many times too high the rate of the runs is."""

Points = list[tuple[float, float]]


def walk(rule: str, run: Run, losses: list[float] | None = None) -> list[WarmupState]:
    """Return the state before each update of a run, and after the last."""
    states = [begin(rule_of(rule), run)]
    for k in range(run.length):
        states.append(step(states[-1], None if losses is None else losses[k]))
    return states


def shares(rule: str, run: Run, losses: list[float] | None = None) -> list[float]:
    """Return the share of the peak rate that each update uses."""
    return [state.factor for state in walk(rule, run, losses)[:-1]]


def ramp(family: str, trained: bool = False) -> int:
    """Return the updates of a full ramp of the default rule where tokens are not known."""
    run = Run(100_000, family=family, trained=trained)
    return 1 + next(k for k, share in enumerate(shares("paced", run)) if share == 1.0)


def thinned(values: list[float], most: int = 150) -> Points:
    """Return points (update, value), evenly, and with them the highest one and the last."""
    kept = set(range(0, len(values), max(1, len(values) // most)))
    kept |= {values.index(max(values)), len(values) - 1}
    return [(k, values[k]) for k in sorted(kept)]


@cache
def record(folder: str, rule: str) -> dict[str, Any]:
    """Return the run of a rule in the set-up above, of the first seed."""
    rows = [json.loads(line) for line in (BENCH / folder / RUNS).read_text().splitlines()]
    return next(
        row
        for row in rows
        if row["rule"] == rule and row["seed"] == 0 and row["setup"]["lr"] == BEST * FACTOR
    )


def _axes(picture: Picture, last: int, every: int, *, lr: bool = True) -> None:
    ticks = {float(k): f"{k:,}" for k in range(0, last + 1, every)}
    heights = {0.0: "0", 0.5: "½", 1.0: "peak"} if lr else {}
    picture.axes(ticks, heights, "update")


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
        top=64,
    )
    _axes(picture, total, 2_000)
    for length in lengths:
        rates = shares(f"linear {length}%", Run(total))
        picture.line(thinned(rates, 90), "hand", 1.3, "5 4")
    for family, width in (("spectral", 3.4), ("sign", 3.4)):
        picture.line(thinned(shares("paced", Run(total, family=family)), 200), "ours", width)
    picture.words((0, 1), "autowarmup", "ours", by=(0, -36), bold=True)
    picture.words((0, 1), f"Muon {muon:,},", "ours", by=(0, -14))
    picture.words((other, 1), f"Lion, AdamW {other:,} updates", "ours", by=(0, -14))
    picture.words((total, 1), "tried by hand", "hand", by=(0, -36), anchor="end", bold=True)
    picture.words((total, 1), "1 to 40 %", "hand", by=(0, -14), anchor="end")
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
    picture.axes({float(k): f"{k:,}" for k in range(0, 4_001, 1_000)}, {}, "update")
    for k, (name, length) in enumerate(reversed(rows)):
        picture.line([(0, k), (4_000, k)], "grid", 1)
        picture.line([(0, k), (length, k + 0.72), (4_000, k + 0.72)], "ours", 2.6)
        picture.words((length, k), f"{name}: {length:,}", by=(14, -10))
    return picture


def _looks(states: list[WarmupState]) -> list[tuple[int, Looks]]:
    """Return (update, what was known) after every look at the loss."""
    found: list[tuple[int, Looks]] = []
    for state in states[1:]:
        looks = getattr(state.memory, "looks", None)
        if isinstance(looks, Looks) and (not found or looks.number > found[-1][1].number):
            found.append((state.step, looks))
    return found


def _replayed() -> tuple[list[float], list[WarmupState]]:
    losses = record("recorded", "paced")["every_loss"]
    return losses, walk("paced", Run(len(losses)), losses)


def looks(theme: str) -> Picture:
    """Step 2: the level of the loss at each look, against the lowest before."""
    losses, states = _replayed()
    lowered = next(state.step for state in states if state.status is Status.LOWERED)
    last = 1_200
    seen = [(at, known) for at, known in _looks(states) if at <= last and known.levels]
    here = next(known for at, known in seen if at == lowered)
    assert here.best is not None
    risen = 100 * (here.levels[-1].mean / here.best.mean - 1)
    means = [sum(losses[k : k + 12]) / 12 for k in range(0, last, 12)]
    picture = Picture(
        theme,
        f"The loss is looked at eight times while the time doubles. At update {lowered} its level "
        f"lies {risen:.0f} % above the lowest before, so the rate is halved.",
        (0, last),
        (2.4, 3.5),
        size=(560, 300),
    )
    ticks = {float(k): f"{k:,}" for k in range(0, last + 1, 200)}
    picture.axes(ticks, {y: f"{y:g}" for y in (2.5, 3.0, 3.5)}, "update", "loss")
    for points in _below(3.5, [(12 * k + 6, mean) for k, mean in enumerate(means)]):
        picture.line(points, "muted", 1.0)
    for at, known in seen:
        if known.levels[-1].mean <= 3.5:
            fired = at == lowered
            picture.mark((at, known.levels[-1].mean), "trouble" if fired else "ours", 6)
    picture.line([(0, here.best.mean), (last, here.best.mean)], "ours", 1.6, "5 4")
    picture.words((0, here.best.mean), "lowest level before", "ours", by=(8, 20), size=15)
    picture.words((lowered, here.levels[-1].mean), f"risen by {risen:.0f} %", "trouble",
                  by=(-10, -14), anchor="end", bold=True)  # fmt: skip
    picture.words((160, 3.36), "dots: the level at each look; thin: the loss", "muted", size=15)
    return picture


def brake(theme: str) -> Picture:
    """Step 3: the rate is halved and climbs back."""
    losses, states = _replayed()
    rates = [state.factor for state in states[:-1]]
    lowered = [state.step for state in states if state.status is Status.LOWERED]
    assert len(lowered) == 1
    ended = next(k for k, state in enumerate(states) if state.phase == "decay")
    picture = Picture(
        theme,
        f"The rate is halved at update {lowered[0]}, climbs back slowly while the loss is watched, "
        f"and decays from what was reached after update {ended:,}.",
        (0, 2_500),
        (0, 1.0),
        size=(560, 300),
    )
    _axes(picture, 2_500, 500)
    picture.line(thinned(shares("paced(sure=1e9)", Run(len(losses)), losses)), "hand", 1.6, "5 4")
    picture.line(thinned(rates, 400), "ours", 3.2)
    picture.mark((lowered[0], rates[lowered[0]]), "trouble", 6)
    picture.words((lowered[0], rates[lowered[0]]), "halved", "trouble", by=(-10, 6), anchor="end",
                  bold=True)  # fmt: skip
    picture.words((2_500, 0.93), "the ramp alone, and its decay", "hand", anchor="end", size=15)
    return picture


def trained(theme: str) -> Picture:
    """Step 4: what came of it in a run that was trained with the rule."""
    ours, hand = record("", "paced"), record("", "linear 10%")
    (lowered,), width = ours["lowered"], ours["trace"]["stretch"]
    picture = Picture(
        theme,
        f"Two runs at four times the best rate. With the default the rate is halved at update "
        f"{lowered} and the run ends at a validation loss of {ours['val_loss']:.2f}; with a "
        f"hand-tuned warm-up over 10 % of the run it ends at {hand['val_loss']:.2f}.",
        (0, 2_500),
        (1.5, 4.2),
        size=(560, 300),
    )
    ticks = {float(k): f"{k:,}" for k in range(0, 2_501, 500)}
    picture.axes(ticks, {y: f"{y:g}" for y in (2.0, 3.0, 4.0)}, "update", "loss")
    for run, colour, thick, dash in ((hand, "hand", 1.8, "5 4"), (ours, "ours", 3.0, "")):
        losses = run["trace"]["loss"]
        for points in _below(4.2, [(width * (k + 0.5), loss) for k, loss in enumerate(losses)]):
            picture.line(points, colour, thick, dash)
    at = ours["trace"]["loss"][lowered // width]
    picture.mark((lowered, at), "trouble", 6)
    picture.words((lowered, at), "rate halved here", "trouble", by=(8, -10), bold=True)
    picture.words((2_500, 3.3), f"linear 10 %: ends at {hand['val_loss']:.2f}", "hand",
                  anchor="end", bold=True)  # fmt: skip
    picture.words((1_500, 1.68), f"paced: ends at {ours['val_loss']:.2f}", "ours", bold=True)
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
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale = 1
            print(f"{path.name} is out of date: run python tools/docs_pictures.py", file=sys.stderr)
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
