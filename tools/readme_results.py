"""Write the tables of README.md and docs/ from the committed JSON in results/, between markers,
and what stands in the place of each figure of results/.

    python tools/readme_results.py           # rewrite the pages
    python tools/readme_results.py --check   # exit 1 where a page is out of date

No number in those tables is typed by hand; a test runs the check.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path
from statistics import median

import bench_results
import evidence_results
import figure_results
import life_results
import theory_results

from autowarmup.lab.curvature import read_record
from autowarmup.lab.report import page as page_of_lab

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "results" / "study" / "summary.json"
CURVATURE = ROOT / "results" / "curvature" / "summary.json"
BENCHMARKS = ROOT / "results" / "benchmarks"
MAIN = "adaptive flat, measured start"
FIGURE = re.compile(r"!\[[^\]]*\]\(((?:\.\./)+results/[\w/-]+\.svg)\)")
"""A figure of results/ in a page; what stands in its place is what the figure itself says."""


def percent(share: float | None) -> str:
    """Return a regret as text with its sign."""
    return "-" if share is None else f"{100 * share:+.1f} %"


def loss(rule: dict | None) -> str:
    """Return the mean validation loss of a rule, or why there is none."""
    if rule is None:
        return "-"
    if rule["val_loss"] is None:
        return "diverged" if rule["diverged"] else "-"
    return f"{rule['val_loss']:.3f}"


def length(rule: str) -> str:
    """Return a hand-tuned warm-up's length in words."""
    warmup = rule.removeprefix("linear ")
    return "none" if warmup == "1" else warmup.replace("%", " %")


def steps(values: list[int | None]) -> str:
    """Return the steps at which warm-up ended, one per seed."""
    return ", ".join("-" if value is None else str(value) for value in values)


def case(name: str) -> str:
    """Return a benchmark's name without what pytest needs in it."""
    return name.removeprefix("test_").replace("[", " (").replace("]", ")").replace("_", " ")


def setups_table(summary: dict) -> list[str]:
    """One row per set-up: the best of the grid, no warm-up, and the default."""
    lines = [
        "| set-up | best hand-tuned | no warm-up | adaptive (default) | regret | div | ended at |",
        "|---|---|---|---|---|---|---|",
    ]
    for setup in summary["setups"]:
        rules = {rule["rule"]: rule for rule in setup["rules"]}
        best, main = rules[setup["best_hand_tuned"]], rules[MAIN]
        divs = ", ".join(f"{div:.1f}" for div in main["div"])
        lines.append(
            f"| {setup['label']} | {loss(best)} ({length(best['rule'])}) "
            f"| {loss(rules.get('linear 1'))} | {loss(main)} | {percent(main['regret'])} "
            f"| {divs} | {steps(main['warmup_end_steps'])} |"
        )
    return lines


def rules_table(summary: dict) -> list[str]:
    """One row per rule: what it costs to use it unchanged in every set-up."""
    lines = [
        "| one rule for every set-up | mean regret | worst regret | at or below the best |",
        "|---|---|---|---|",
    ]
    for rule in summary["rules"]:
        name = rule["rule"]
        if rule["kind"] == "linear":
            name = f"linear warm-up, {length(name)}"
        if name == MAIN:
            name = f"**{name} (default)**"
        lines.append(
            f"| {name} | {percent(rule['mean_regret'])} | {percent(rule['worst_regret'])} "
            f"| {rule['best_or_better']} of {rule['setups']} |"
        )
    return lines


def findings(summary: dict) -> list[str]:
    """The verdict in words, and what ended warm-up."""
    every = [rule for setup in summary["setups"] for rule in setup["rules"]]
    ends = [end for rule in every if rule["rule"] == MAIN for end in rule["ended_by"]]
    lines = [
        summary["verdict"]["headline"],
        *summary["verdict"]["sentences"],
        f"The cap, not the gap, ended warm-up in {ends.count('cap')} of the default's {len(ends)} "
        "runs.",
    ]
    return [f"- {line}" for line in lines]


def benchmarks_table(names: tuple[str, ...] = ("optimizers", "peak", "scheduler")) -> list[str]:
    """One row per benchmark: how many times as fast as the peer it is compared with."""
    lines = ["| what | against | times as fast |", "|---|---|---|"]
    for stem in names:
        for group, rows in json.loads((BENCHMARKS / f"{stem}.json").read_text(encoding="utf-8"))[
            "groups"
        ].items():
            peer, *others = rows
            for name in others:
                ratio = rows[name]["times_faster_than_first"]
                rule = rows[name].get("extra", {}).get("rule")
                what = case(name) + (f", rule {rule.partition('(')[0]}" if rule else "")
                lines.append(f"| {group}: {what} | {case(peer)} | {ratio:.2f} |")
    return lines


def fleet_table() -> list[str]:
    """One row per optimizer: runs per hour of one core, one by one and side by side."""
    record = json.loads((BENCHMARKS / "fleet_speed.json").read_text(encoding="utf-8"))
    names = list(next(iter(record["rows"].values())))
    lines = [
        f"| runs of {record['updates_of_a_run']} updates per hour | "
        + " | ".join(names[:1] + [f"{name} (times single)" for name in names[1:]])
        + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for optimizer, rows in record["rows"].items():
        cells = [
            f"{row['runs_per_hour']:.0f}"
            + (f" ({row['times_the_runs_of_single']:.1f})" if name != "single" else "")
            for name, row in rows.items()
        ]
        lines.append(f"| {optimizer} | " + " | ".join(cells) + " |")
    return lines


def hosts_table() -> list[str]:
    """One row per number of processes: what the scheduler adds to a step, as a share of it."""
    record = json.loads((BENCHMARKS / "hosts_overhead.json").read_text(encoding="utf-8"))["ranks"]
    loops = [loop for loop in next(iter(record.values())) if loop != "OneCycleLR"]
    lines = [
        f"| processes | a step takes | {' | '.join(loops)} |",
        "|---" * (len(loops) + 2) + "|",
    ]
    for ranks, rows in record.items():
        cells = [
            f"{100 * rows[loop]['scheduler_beyond_one_cycle_over_step']:+.2f} %" for loop in loops
        ]
        step = 1000 * rows["OneCycleLR"]["step_seconds"]
        lines.append(f"| {ranks} | {step:.0f} ms | {' | '.join(cells)} |")
    return lines


def norms_table() -> list[str]:
    """One row per fast norm: time against torch's, and the error against a float64 SVD."""
    lines = ["| norm, matrix | times as fast as torch | relative error |", "|---|---|---|"]
    for group, rows in json.loads((BENCHMARKS / "norms.json").read_text(encoding="utf-8"))[
        "groups"
    ].items():
        _, *others = rows.values()
        for row in others:
            error = row["extra"]["relative_error"]
            shown = f"{error:.0e}" if error >= 1e-7 else "below 1e-7"
            lines.append(f"| {group} | {row['times_faster_than_first']:.1f} | {shown} |")
    return lines


def overhead_table() -> list[str]:
    """One row per model and optimizer: what a probe costs in forward and backward passes."""
    lines = [
        "| model, optimizer | a probe costs, in passes | an update between probes, against none |",
        "|---|---|---|",
    ]
    for name, row in json.loads((BENCHMARKS / "observer.json").read_text(encoding="utf-8"))[
        "rows"
    ].items():
        lines.append(
            f"| {name} | {row['probe_in_passes']:.2f} | {row['idle_update_over_bare_update']:.2f} |"
        )
    return lines


def significant(value: float | None) -> str:
    """Return a number with two significant digits and without an exponent up to a million."""
    if value is None:
        return "-"
    return (
        f"{value:.1e}"
        if abs(value) >= 1e6 or 0 < abs(value) < 1e-3
        else f"{float(f'{value:.2g}'):,g}"
    )


def parts(record: dict, quantity: str) -> tuple[list[float], list[float]]:
    """Return the medians of gap and curvature over each twentieth of a run."""
    seen = [
        (point["loss"] - record["lower_bound"], point[quantity])
        for point in record["points"]
        if point.get(quantity) is not None
    ]
    cuts = [round(len(seen) * k / 20) for k in range(21)]
    lots = [seen[a:b] for a, b in itertools.pairwise(cuts) if b > a]
    return tuple([median(pair[i] for pair in lot) for lot in lots] for i in (0, 1))  # type: ignore


def course(record: dict, quantity: str) -> dict[str, tuple[float, float]]:
    """Return (gap, curvature) in the first twentieth, where curvature is least, and in the last."""
    gaps, values = parts(record, quantity)
    least = values.index(min(values))
    return {
        "first": (gaps[0], values[0]),
        "least": (gaps[least], values[least]),
        "last": (gaps[-1], values[-1]),
    }


def measured(quantity: str) -> list[tuple[str, dict]]:
    """Return (name, record) of every run that measured this quantity."""
    names = [row["run"] for row in json.loads(CURVATURE.read_text(encoding="utf-8"))["runs"]]
    found = [(name, read_record(CURVATURE.parent / name)) for name in names]
    return [(name, record) for name, record in found if quantity in record["quantities"]]


def r_squared(fit: dict, constraint: str) -> float:
    """Return R² of the law with the fixed exponent, or without a third term."""
    return next(law["r_squared"] for law in fit["fits"] if law["constraint"] == constraint)


def curvature_table(quantity: str, runs: list[tuple[str, dict]]) -> list[str]:
    """One row per measured run: what the curvature does as the gap falls."""
    lines = [
        f"| run | gap: first, at the least {quantity}, last | {quantity} there "
        f"| {quantity} as the gap falls | slope (95 %) | constants ≥ 0 | their R² "
        "| R², free signs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, record in runs:
        way, fit = course(record, quantity).values(), record["quantities"][quantity]
        low, high = fit["slope"]["interval"]
        lines.append(
            f"| [{name}](../results/curvature/{name}/measure.json) "
            f"| {', '.join(f'{gap:.2f}' for gap, _ in way)} "
            f"| {', '.join(significant(value) for _, value in way)} | {fit['verdict']} "
            f"| {fit['slope']['p']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {', '.join(significant(fit['fits'][0][term]) for term in fit['fits'][0]['terms'])} "
            f"| {r_squared(fit, 'non_negative'):.2f} | {r_squared(fit, 'free'):.2f} |"
        )
    return lines


def trained() -> list[tuple[str, dict]]:
    """Return the language models, whose main quantity is K."""
    return [(name, record) for name, record in measured("K") if record["main"] == "K"]


def curvature_findings() -> list[str]:
    """What the language models show, counted from the records."""
    runs = {name: (record, record["quantities"]["K"]) for name, record in trained()}
    said = {name: fit["verdict"] for name, (_, fit) in runs.items()}
    falls, rises = ([n for n, word in said.items() if word == w] for w in ("falls", "rises"))
    rest = [name for name in said if name not in (*falls, *rises)]
    good = [r_squared(runs[name][1], "non_negative") for name in falls]
    again = {}
    for name, (record, _) in runs.items():
        way = course(record, "K")
        factor = way["last"][1] / way["least"][1]
        if factor >= 1.5:
            again[name] = f"{significant(factor)} times in {name}"
    early = [f"{name} {early_rise(record)}" for name, (record, _) in runs.items() if "muon" in name]
    lines = [
        f"K falls as the gap falls in {len(falls)} of {len(runs)} runs, rises in {len(rises)}, and "
        f"is not determined in {len(rest)} ({', '.join(rest) or 'none'}).",
        f"Where K falls, the law with constants ≥ 0 explains {min(good):.2f} to {max(good):.2f} of "
        f"its spread in the descent window (R², median {median(good):.2f}).",
        f"In the last twentieth, with the rate near 0, K is at least 1.5 times what it was at its "
        f"least in {len(again)} of {len(runs)} runs: {', '.join(again.values())}.",
        "Muon in its first hundred steps, from the least K after the first step to the most after "
        f"that: {'; '.join(early)}.",
    ]
    return [f"- {line}" for line in lines]


def early_rise(record: dict) -> str:
    """Return from what to what K rose within the first hundred steps, and at which gaps."""
    seen = [p for p in record["points"] if p.get("K") is not None and 0 < p["step"] <= 100]
    least = min(seen[: len(seen) // 2], key=lambda point: point["K"])
    most = max((p for p in seen if p["step"] >= least["step"]), key=lambda point: point["K"])
    return (
        f"{significant(least['K'])} at gap {least['loss'] - record['lower_bound']:.1f} to "
        f"{significant(most['K'])} at gap {most['loss'] - record['lower_bound']:.1f}"
    )


def noise_table() -> list[str]:
    """One row per run: what batch noise alone would report, against the same-batch curvature."""
    lines = [
        "| run | K_noise / K, whole run | first twentieth | last twentieth |",
        "|---|---|---|---|",
    ]
    for name, record in trained():
        after = [*record["points"], *record["next_points"]]
        noise = {p["step"] - 1: p["K_noise"] for p in after if p.get("K_noise")}
        ratios = [
            noise[p["step"]] / p["K"] for p in record["points"] if p.get("K") and p["step"] in noise
        ]
        lot = max(1, len(ratios) // 20)
        three = (ratios, ratios[:lot], ratios[-lot:])
        lines.append(f"| {name} | {' | '.join(significant(median(r)) for r in three)} |")
    return lines


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the blocks between markers of every page."""
    summary, bench = json.loads(STUDY.read_text(encoding="utf-8")), bench_results.summary()
    return {
        **figure_results.pages(),
        **evidence_results.pages(),
        **life_results.pages(),
        ROOT / "docs" / "speed.md": {
            "benchmarks": benchmarks_table(),
            "fleet": fleet_table(),
            "hosts": hosts_table(),
        },
        ROOT / "docs" / "at-scale.md": {
            "sweeps": bench_results.sweeps_table(),
            "logs": bench_results.logs_table(),
            "laws": bench_results.laws_table(),
            "clocks": bench_results.clocks_table(),
        },
        ROOT / "docs" / "bench.md": {
            "rules": bench_results.rules_table(bench),
            "findings": bench_results.findings(bench),
            "against": bench_results.against_table(bench),
            "tuned": bench_results.tuned_table(bench),
            "choice": bench_results.parts_table(bench, "by_choice"),
            "horizon": bench_results.parts_table(bench, "by_horizon"),
            "lengths": bench_results.lengths_table(bench),
            "rate": bench_results.parts_table(bench, "by_rate"),
            "batch": bench_results.parts_table(bench, "by_batch"),
            "noise_scale": bench_results.noise_scale_table(),
            "alarms": bench_results.alarms_table(bench),
            "missed": bench_results.missed(bench),
            "columns": bench_results.columns_table(bench),
            "protocol": bench_results.protocol_table(bench),
            "robustness": bench_results.robustness_table(bench),
            "tried": bench_results.tried_table(),
        },
        ROOT / "docs" / "study.md": {
            "setups": setups_table(summary),
            "findings": findings(summary),
            "rules": rules_table(summary),
        },
        ROOT / "docs" / "curvature.md": {
            "runs": curvature_table("K", trained()),
            "findings": curvature_findings(),
            "objects": curvature_table("H", measured("H")),
            "noise": noise_table(),
            "norms": norms_table(),
            "overhead": overhead_table(),
        },
        **theory_results.pages(),
    }


def rewritten(page: Path, blocks: dict[str, list[str]]) -> str:
    """Return a page with the lines between each pair of markers made anew."""
    text = page.read_text(encoding="utf-8")
    for name, lines in blocks.items():
        start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page}: expected the markers {start} and {end}, got neither")
        block = "\n".join([start, *lines, end])
        text = pattern.sub(lambda _, block=block: block, text)
    return FIGURE.sub(lambda found: f"![{finding_of(page, found[1])}]({found[1]})", text)


def finding_of(page: Path, link: str) -> str:
    """Return what a figure that a page shows says: the title of its file."""
    path = page.parent / link
    return page_of_lab.finding_of(path.parent, path.stem)


def main() -> int:
    """Rewrite or check the pages."""
    checking, stale = "--check" in sys.argv[1:], 0
    made = pages()
    shown = [
        path
        for path in (ROOT / "docs").rglob("*.md")
        if FIGURE.search(path.read_text(encoding="utf-8"))
    ]
    for page, blocks in {**{page: {} for page in shown}, **made}.items():
        after = rewritten(page, blocks)
        if not checking:
            page.write_text(after, encoding="utf-8")
        elif after != page.read_text(encoding="utf-8"):
            stale = 1
            shown = page.relative_to(ROOT)
            print(f"{shown} is out of date: run python tools/readme_results.py", file=sys.stderr)
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
