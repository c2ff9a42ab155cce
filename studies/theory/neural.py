"""Networks (B.6): Hessian norm against its bound, random nets and gradient descent on real data.
python -m studies.theory.neural        # results/theory/neural.json and its figure; minutes
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from autowarmup.lab.report import axes as look
from autowarmup.lab.report import palette, style
from autowarmup.lab.theory.checks import networks as checks
from autowarmup.lab.theory.hessian_runs import TOLERANCE, VACUOUS, HessianRun
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.networks import DECAY, LEAK, RHO, Size
from autowarmup.lab.theory.rows import merge
from studies.theory import record
from studies.theory.record import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = "autowarmup-neural-1"
FULL = Size(1797, 32, 64, 256, 32, 32)

_BATCH = 250
LABELS = {
    "deep-linear": "Deep linear net, balanced",
    "leaky-relu": "Two-layer leaky ReLU net",
    "two-layer-ce": "Two-layer tanh net, CE + L2",
    "attention": "One-layer transformer, CE + L2",
    "blank-pixel": "Deep linear net, data without full rank",
    "toy-ce": "Toy net, CE + L2, H0 without f*",
}

FALSE = ("blank-pixel", "toy-ce")
"""What stands for a printed statement that is false."""


def study(
    *,
    size: Size = FULL,
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 1000,
    points: int = 24,
    instances: int = 2500,
) -> dict[str, Any]:
    """Check every statement on random networks and along gradient descent, and return the record.

    Args:
        size: of the objects on real data.
        seeds: one run each; they draw the weights.
        steps: of gradient descent.
        points: of them at which the Hessian norm is measured.
        instances: random small networks for each statement.
    """
    started = time.perf_counter()
    rows = []
    for batch in range(0, instances, _BATCH):
        rng = np.random.default_rng([0, batch])
        rows += checks.random_networks(rng, min(_BATCH, instances - batch))
    rows += checks.controls(np.random.default_rng(1))
    found, trained = checks.trained_networks(size, seeds, steps, points)
    rows += found + checks.toy_rows()
    objects = {name: [run_record(run, seed) for run, seed in zip(runs, seeds, strict=True)]
               for name, runs in trained.items()}  # fmt: skip
    toy, printed = checks.toy_run(points=points)
    objects["toy-ce"] = [run_record(toy, 0, printed)]
    return record.stamped(FORMAT, 0, started, {
        "seeds": list(seeds), "steps": steps,
        "instances": instances, "size": size._asdict(), "leak": LEAK, "rho": RHO,
        "decay": DECAY, "random_seeds": "[0, first of the batch] for the nets, 1 for the controls",
        "lanczos_tolerance": TOLERANCE, "vacuous_above": VACUOUS,
        "rows": [row.to_dict() for row in merge(rows)],
        "objects": {name: {"label": LABELS[name], "expected_fail": name in FALSE, "runs": runs}
                    for name, runs in objects.items()},
    })  # fmt: skip


def run_record(run: HessianRun, seed: int, printed: Floats | None = None) -> dict[str, Any]:
    """Return a run as plain values; `printed` replaces the bound where a printed one is shown."""
    bound = run.bounds if printed is None else printed
    law = run.law
    return {
        "seed": seed,
        "H0": float(law.K0),
        "H1": float(law.K1),
        "step": run.step,
        "loss": run.loss.tolist(),
        "gap": run.gap.tolist(),
        "lr": run.lr.tolist(),
        "hessian_norm": run.norm.tolist(),
        "bound": bound.tolist(),
        "h0_h1": (law.K0 + law.K1 * run.gap).tolist(),
        "margin": ((bound - run.norm) / np.maximum(bound, run.norm)).tolist(),
        "bound_over_measured": (bound / run.norm).tolist(),
        "bound_here": (run.here if printed is None else printed).tolist(),
        "balance": run.balance.tolist(),
    }


_DEEPEST = 1e-4
"""Where the gap has fallen to this share of its first value, nothing moves any more."""


def draw_networks(held: Json) -> Figure:
    figure, columns = style.panels(len(held["objects"]), height=3.1, most=2)
    entries: dict[str, Any] = {}
    for (axes,), network in zip(columns, held["objects"].values(), strict=True):
        entries |= _panel(axes, network)
    style.legend(figure, entries)
    return figure


def _panel(axes: Axes, held: Json) -> dict[str, Any]:
    """Draw the first run of an object and return the legend."""
    run, false = held["runs"][0], held["expected_fail"]
    gap, norm, bound = (np.array(run[key]) for key in ("gap", "hessian_norm", "bound"))
    shown = gap > _DEEPEST * gap.max()
    gap, norm, bound = gap[shown], norm[shown], bound[shown]
    colour = palette.WORSE if false else palette.THEORY
    (dots,) = axes.plot(gap, norm, "o", color=palette.MEASURED, markersize=5, zorder=4)
    (line,) = axes.plot(gap, bound, color=colour, linewidth=2.2, zorder=3,
                        linestyle=(0, (4, 1.6)) if false else "-")  # fmt: skip
    style.title(axes, held["label"], verdict(held), color=colour)
    look.scale(axes.yaxis, np.concatenate([norm, bound]))
    look.gap_axis(axes, gap)
    axes.set_xlabel("gap, falling to the right →")
    axes.set_ylabel("‖Hessian‖")
    words = "bound with the printed omission, false" if false else "bound, proved"
    return {"measured along gradient descent": dots, words: line}


def verdict(held: Json) -> str:
    """Return the least and the largest of bound over measured, over all runs, in words.

    Example:
        >>> verdict({"expected_fail": False, "runs": [{"bound_over_measured": [2.5, 6.04]}]})
        'bound 2.5 to 6 times the measured norm'
        >>> verdict({"expected_fail": True, "runs": [{"bound_over_measured": [0.05, 1.5]}]})
        'violated: measured up to 20 times the bound'
    """
    ratios = [ratio for run in held["runs"] for ratio in run["bound_over_measured"]]
    if held["expected_fail"]:
        return f"violated: measured up to {_short(1 / min(ratios))} times the bound"
    return f"bound {_short(min(ratios))} to {_short(max(ratios))} times the measured norm"


def finding(held: Json) -> str:
    """Return the verdict on every network, in one sentence."""
    parts = (f"{network['label']}: {verdict(network)}" for network in held["objects"].values())
    return f"Hessian norm and its bound along gradient descent. {'; '.join(parts)}."


def _short(value: float) -> str:
    """Return two significant digits, without an exponent."""
    return f"{float(f'{value:.2g}'):,.10g}"


if __name__ == "__main__":
    record.main("neural", lambda _: study(), {"neural": (draw_networks, finding)})
