"""The benchmark as one job: run what is missing of a set, then the summary and the page.

OUT/runs/          records of every set but the following
OUT/robustness/    records of the set "robustness", which its tables compare with the core set
OUT/protocol/      likewise of the set "protocol"
OUT/recorded/      records of the set "logs", with every loss
OUT/summary.json, OUT/report.html, OUT/figures/
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.lab.bench.alarms import alarms
from autowarmup.lab.bench.engine import Outcome, check_ours, run_plans
from autowarmup.lab.bench.page import write_page
from autowarmup.lab.bench.ray_pool import RayOptions
from autowarmup.lab.bench.records import Record, key_of, read_records
from autowarmup.lab.bench.robustness import tables
from autowarmup.lab.bench.sets import BEFORE, SETS
from autowarmup.lab.bench.summary import summarise
from autowarmup.lab.claim import claimed
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json
from autowarmup.lab.reading import read_json
from autowarmup.rules.registry import DEFAULT_RULE

APART = {"robustness": "robustness", "protocol": "protocol", "logs": "recorded"}
"""Sets whose records lie in a directory of their own."""
BRAKES = (
    *(DEFAULT_RULE, BEFORE),
    *(f"{DEFAULT_RULE}({other})" for other in ("sure=2.5", "sure=3.0", "sure=5.0", "least=0.03")),
)
"""Rules that are fed with recorded losses."""


def run_set(
    out: str | Path,
    name: str,
    *,
    workers: int | None = None,
    command: str = "",
    ray: RayOptions | None = None,
    device: str = "cpu",
) -> Outcome:
    """Run what is missing of a named set in `out`, as `run_plans`; note the command in the results.

    Raises:
        ValueError: an unknown set, no such device, or files in `out` that are not ours.
    """
    if name not in SETS:
        raise ValueError(f"set: expected one of {', '.join(SETS)}, got {name!r}")
    with claimed(out):
        return _run_set(Path(out), name, workers, command, ray, device)


def _run_set(
    out: Path,
    name: str,
    workers: int | None,
    command: str,
    ray: RayOptions | None,
    device: str,
) -> Outcome:
    check_ours(out)
    directory = out / APART[name] if name in APART else out
    outcome = run_plans(SETS[name](), directory, workers=workers, ray=ray, device=device)
    if directory.is_dir():
        _note_environment(directory, command)
    return outcome


def summary_of(out: str | Path) -> tuple[dict[str, Any], list[Record]]:
    """Return the summary of what `out` holds, robustness included, and the records behind it.

    Raises:
        ValueError: nothing is stored in `out`.
    """
    out = Path(out)
    records = _planned(out, *(name for name in SETS if name not in APART))
    records = records or read_records(out)  # a plan of one's own
    if not records:
        raise ValueError(f"{out}: expected records of the benchmark in runs/, got none")
    varied = [
        record
        for name in ("robustness", "protocol")
        for record in _planned(out / APART[name], name)
    ]
    summary = {**summarise(records), "robustness": tables(varied, records)}
    recorded = _planned(out / APART["logs"], "logs")
    if recorded:
        summary["alarms"] = {rule: alarms(rule, recorded) for rule in BRAKES}
        for rule, found in summary["alarms"].items():
            if rule in summary["rules"]:
                kept = {name: found[name] for name in ("false_alarms", "caught", "caught_early")}
                summary["rules"][rule].update(kept)
    return summary, records


def write_report(out: str | Path) -> dict[str, Any]:
    """Write the summary and the page of what `out` holds; return the summary.

    Raises:
        ValueError: nothing is stored in `out`.
    """
    out = Path(out)
    with claimed(out):
        return _written(out)


def _written(out: Path) -> dict[str, Any]:
    summary, records = summary_of(out)
    write_page(out, summary, records, robustness=summary["robustness"], facts=_facts(out, records))
    return summary


def _planned(directory: Path, *names: str) -> list[Record]:
    """Return the records of these sets: sweeps of rates are stored beside them."""
    planned = {plan.key for name in names for plan in SETS[name]()}
    return [record for record in read_records(directory) if key_of(record) in planned]


def _note_environment(out: Path, command: str) -> None:
    """Write down where the runs took place, once for each machine and command."""
    path = out / "environment.json"
    noted = _noted(path)
    entry = {"command": command, "environment": environment()}
    if entry not in noted:
        write_json(path, [*noted, entry])


def _noted(path: Path) -> list[dict[str, Any]]:
    shape = [{"command": str, "environment": {"cpu": str, "torch": str}}]
    what = "the commands and machines of a benchmark"
    return read_json(path, shape, what) if path.exists() else []


def _facts(out: Path, records: list[Record]) -> list[tuple[str, str, bool]]:
    held = {key_of(record) for record in records}
    facts = []
    for name, build in SETS.items():
        plans = [plan.key for plan in build()]
        if count := sum(key in held for key in plans):
            facts.append((f"Set {name}", f"{count} of {len(plans)} runs are stored", False))
    for entry in _noted(out / "environment.json"):
        machine = entry["environment"]
        facts.append(("Command", entry["command"], True))
        facts.append(("Machine", f"{machine['cpu']}, torch {machine['torch']}", False))
    return facts
