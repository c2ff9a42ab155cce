"""The benchmark as one job: run what is missing of a set, then the summary and the page.

DIR/runs/          records of the core set (and of "smoke", in a directory of its own)
DIR/robustness/    records of the winner's robustness
DIR/summary.json, DIR/bench.html, DIR/figures/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.engine import key_of, read_records, run_plans
from autowarmup.lab.bench.page import write_page
from autowarmup.lab.bench.plan import SETS
from autowarmup.lab.bench.robustness import tables
from autowarmup.lab.bench.stats import summarise
from autowarmup.lab.bench.terminal import print_summary
from autowarmup.lab.files import write_aside
from autowarmup.rules.registry import DEFAULT_RULE, RULES, rule_by_name


def run_bench(
    out: str | Path, name: str, *, workers: int | None = None, command: str = ""
) -> tuple[str, int]:
    """Run what is missing of a named set in `out`; return the state in words, and what is missing.

    Args:
        out: a new directory, or one where the same benchmark was begun.
        name: one of `autowarmup.lab.bench.plan.SETS`.
        workers: processes at a time, one thread each; by default one per core.
        command: what is written down as the command that made the results.

    Raises:
        ValueError: an unknown set, or files in `out` that are not ours.
        KeyboardInterrupt: after Ctrl-C; every lot that was stored stays.
    """
    if name not in SETS:
        raise ValueError(f"set: expected one of {', '.join(SETS)}, got {name!r}")
    out, plans = Path(out), SETS[name]()
    directory = out / "robustness" if name == "robustness" else out
    missing, sentences = run_plans(plans, directory, workers=workers)
    _note_environment(directory, command)
    done = len(plans) - missing
    state = f"{done} of {len(plans)} runs of the set {name!r} are stored."
    return " ".join([state, *sentences]), missing


def redraw(out: str | Path) -> dict[str, Any]:
    """Write the summary and the page of what `out` holds; return the summary.

    Raises:
        ValueError: nothing is stored in `out`.
    """
    out = Path(out)
    stored = _stored(out, "core", "extended", "smoke")
    if not stored:
        raise ValueError(f"{out}: expected records of the benchmark in runs/, got none")
    rules = {name: rule_by_name(name) for name in RULES}
    summary = summarise(
        stored,
        default_rule=DEFAULT_RULE,
        kinds={name: rule.kind for name, rule in rules.items()},
    )
    robustness = _stored(out / "robustness", "robustness")
    write_page(
        out,
        summary,
        stored,
        robustness=tables(robustness, stored),
        about={name: rule.about for name, rule in rules.items()},
        facts=_facts(out),
    )
    print_summary(summary)
    return summary


def _stored(directory: Path, *names: str) -> list[dict[str, Any]]:
    """Return the records of these sets: sweeps of rates are stored beside them."""
    planned = {plan.key for name in names for plan in SETS[name]()}
    return [record for record in read_records(directory) if key_of(record) in planned]


def _note_environment(out: Path, command: str) -> None:
    """Write down where the runs took place, once for each machine and command."""
    from autowarmup.lab.environment import environment

    path = out / "environment.json"
    noted: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    entry = {"command": command, "environment": environment()}
    if entry not in noted:
        write_aside(path, (json.dumps([*noted, entry], indent=1) + "\n").encode())


def _facts(out: Path) -> list[tuple[str, str, bool]]:
    path = out / "environment.json"
    noted = json.loads(path.read_text()) if path.exists() else []
    facts = []
    for entry in noted:
        machine = entry["environment"]
        facts.append(("Command", entry["command"], True))
        facts.append(("Machine", f"{machine['cpu']}, torch {machine['torch']}", False))
    return facts
