"""What the studies share: a record of what was run as JSON, figures drawn from nothing else.
Used by every `python -m studies.theory.NAME [--draw] [--seed N] [--out DIR]`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.history import strict_json
from autowarmup.lab.claim import claimed
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_aside
from autowarmup.lab.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Json = Mapping[str, Any]
Draw = tuple[Callable[[Json], "Figure"], Callable[[Json], str]]
"""What draws a record, and what says in one sentence what the figure shows."""
RESULTS = Path(__file__).resolve().parents[2] / "results" / "theory"


def stamped(form: str, seed: int, started: float, values: Json) -> dict[str, Any]:
    """Return a record with where it comes from; `started` is by `time.perf_counter`."""
    return strict_json({
        "format": form, "command": "", "seed": seed, "environment": environment(), **values,
        "seconds": round(time.perf_counter() - started, 1),
    })  # fmt: skip


def write(name: str, record: Json, out: Path) -> Path:
    """Write OUT/NAME.json and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    write_aside(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return path


def draw(name: str, figures: Mapping[str, Draw], out: Path) -> list[Path]:
    """Draw what OUT/NAME.json holds, wide and narrow, in OUT/figures; return the wide files."""
    record = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    drawings = {
        figure: (partial(drawing, record), partial(finding, record))
        for figure, (drawing, finding) in figures.items()
    }
    drawn = style.save_all(drawings, out / "figures", "theory")
    return [out / "figures" / f"{figure}.svg" for figure in drawn]


def main(
    name: str,
    run: Callable[[int], dict[str, Any]],
    figures: Mapping[str, Draw],
    arguments: list[str] | None = None,
    *,
    seed: int = 0,
) -> None:
    """Run with a seed and write the record, unless told only to draw; draw it."""
    parser = argparse.ArgumentParser(prog=f"python -m studies.theory.{name}")
    parser.add_argument("--draw", action="store_true", help="only draw again what was run")
    parser.add_argument("--seed", type=int, default=seed, help=f"of all that is random ({seed})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder (results/theory)")
    chosen = parser.parse_args(arguments)
    if chosen.seed < 0:
        parser.error(f"expected a seed >= 0, got {chosen.seed}")
    with claimed(chosen.out):
        if not chosen.draw:
            command = f"python -m studies.theory.{name} --seed {chosen.seed}"
            write(name, {**run(chosen.seed), "command": command}, chosen.out)
        for path in draw(name, figures, chosen.out):
            print(path)
