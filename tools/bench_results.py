"""The tables that README.md and docs/bench.md take from results/bench, as lists of lines."""

from __future__ import annotations

import json
from pathlib import Path

from autowarmup.lab.bench.alarms import is_harmful
from autowarmup.lab.bench.names import KINDS, TUNED_ONCE
from autowarmup.lab.bench.sets import BEFORE
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.report.words import optimizer_name, rule_name

BENCH = Path(__file__).resolve().parent.parent / "results" / "bench"


def summary() -> dict:
    """Return the committed summary of the benchmark."""
    return json.loads((BENCH / "summary.json").read_text(encoding="utf-8"))


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:+.{digits}f} %"


def _name(rule: str, bench: dict) -> str:
    return f"**{rule} (default)**" if rule == bench["default_rule"] else rule_name(rule)


def _sorted(rules: dict) -> list[tuple[str, dict]]:
    return sorted(
        rules.items(), key=lambda pair: (pair[1]["mean_regret"] is None, pair[1]["mean_regret"])
    )


def rules_table(bench: dict) -> list[str]:
    """One row per rule, the lowest mean regret first."""
    lines = [
        "| one rule for every set-up | kind | mean regret | worst | won or tied | diverged "
        "| extra cost | set-ups |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rule, row in _sorted(bench["rules"]):
        share = row["win_or_tie_share"]
        won = "-" if share is None else f"{100 * share:.0f} %"
        lines.append(
            f"| {_name(rule, bench)} | {KINDS[row['kind']]} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} | {won} "
            f"| {row['diverged']} | {100 * (row['overhead'] or 0.0):.2f} % | {row['n_setups']} |"
        )
    return lines


def findings(bench: dict) -> list[str]:
    """The verdict in sentences."""
    return [f"- {line}" for line in (headline(bench), *sentences(bench))]


def columns_table(bench: dict) -> list[str]:
    """The default and the best hand-tuned share of the run in every part."""
    lines = [
        "| part | set-ups | default: mean | worst | best share of the run | mean | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, part in bench["by_column"].items():
        rules = part["rules"]
        default = rules.get(bench["default_rule"])
        fixed = [pair for pair in _sorted(rules) if pair[1]["kind"] == "fixed"]
        if default is None or not fixed or default["mean_regret"] is None:
            continue
        best, row = fixed[0]
        lines.append(
            f"| {name} | {default['n_setups']} | {_percent(default['mean_regret'], 2)} "
            f"| {_percent(default['worst_regret'])} "
            f"| {rule_name(best)} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} |"
        )
    return lines


def robustness_table(bench: dict) -> list[str]:
    """One row per variation: the default, no warm-up, the best single length, and `flat`."""
    lines = [
        "| variation | set-ups | default: mean | worst | best single length | mean | worst "
        "| no warm-up: mean | worst | flat: mean | worst |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]

    def both(row: dict | None) -> str:
        if row is None:
            return "- | -"
        return f"{_percent(row['mean_regret'], 2)} | {_percent(row['worst_regret'])}"

    for table in bench["robustness"]:
        for variation in dict.fromkeys(row["variation"] for row in table["rows"]):
            rows = {r["rule"]: r for r in table["rows"] if r["variation"] == variation}
            if bench["default_rule"] not in rows:
                continue  # of the papers' protocol, which has a table of its own
            fixed = [r for name, r in rows.items() if name == "none" or name.startswith("linear")]
            best = min(fixed, key=lambda r: r["mean_regret"]) if fixed else None
            main = rows[bench["default_rule"]]
            length = rule_name(best["rule"]) if best else "-"
            lines.append(
                f"| {variation} | {main['n_setups']} | {both(main)} | {length} | {both(best)} "
                f"| {both(rows.get('none'))} | {both(rows.get('flat'))} |"
            )
    return lines


def protocol_table(bench: dict) -> list[str]:
    """The papers' law with its own protocol beside the measured start, at the best rate."""
    lines = [
        "| run | set-ups | rule | f* from an oracle, given div: mean | worst "
        "| f* = 0, measured start: mean | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for table in bench["robustness"]:
        for row in table["rows"]:
            if "oracle" not in row["variation"]:
                continue
            horizon = row["variation"].split(" updates")[0] + " updates"
            plain = bench["by_horizon"][horizon]["rules"][row["rule"]]
            what = row["variation"].replace(" updates, f* from an oracle, ", " updates, ")
            cells = [
                f"{_percent(held['mean_regret'], 2)} | {_percent(held['worst_regret'])}"
                for held in (row, plain)
            ]
            lines.append(f"| {what} | {row['n_setups']} | {row['rule']} | {' | '.join(cells)} |")
    return lines


def tried_table() -> list[str]:
    """What was tried on the way, on the set-ups that it was tried on."""
    tried = json.loads((BENCH / "tried.json").read_text(encoding="utf-8"))
    lines = ["| candidate | mean regret | worst | set-ups |", "|---|---|---|---|"]
    for row in tried["candidates"]:
        lines.append(
            f"| {row['about']} | {_percent(row['mean_regret'], 2)} "
            f"| {_percent(row['worst_regret'])} | {row['n_setups']} |"
        )
    return lines


LENGTHS = ("none", "linear 5%", "linear 10%", "linear 20%", "linear 40%")
"""Hand-tuned lengths of the tables of parts."""


def parts_table(bench: dict, title: str) -> list[str]:
    """The defaults and some lengths in every part of "by_horizon", "by_rate" and the like."""
    parts = bench[title]
    main = bench["default_rule"]
    lines = [
        "| rule | " + " | ".join(f"{n} ({part['n_setups']})" for n, part in parts.items()) + " |",
        "|---" * (len(parts) + 1) + "|",
    ]
    for rule in (main, BEFORE, *LENGTHS, None):
        cells = []
        for part in parts.values():
            row = part["hand_tuned_cross_validated"] if rule is None else part["rules"].get(rule)
            known = row is not None and row["mean_regret"] is not None
            cells.append(
                f"{_percent(row['mean_regret'], 2)}, worst {_percent(row['worst_regret'])}"
                if known
                else "-"
            )
        name = "hand-tuned on the other seed" if rule is None else _name(rule, bench)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def against_table(bench: dict) -> list[str]:
    """How far other rules end above the default, paired by set-up, lengths in updates included."""
    rows = {**bench["rules"], **bench["in_updates"]}
    rows[TUNED_ONCE] = bench["hand_tuned_cross_validated"]
    lines = [
        "| rule | mean above the default | standard error | set-ups |",
        "|---|---|---|---|",
    ]
    known = [(n, r) for n, r in rows.items() if r["above_default"] is not None]
    for name, row in sorted(known, key=lambda item: item[1]["above_default"]):
        if name == bench["default_rule"]:
            continue
        label = name if name == TUNED_ONCE else rule_name(name)
        lines.append(
            f"| {label} | {_percent(row['above_default'], 2)} "
            f"| {100 * (row['above_default_error'] or 0.0):.2f} % | {row['n_paired']} |"
        )
    return lines


def tuned_table(bench: dict) -> list[str]:
    """How far one rule for all ends above the length that was chosen on the other seeds."""
    rates = bench["by_rate"]
    parts = {"all": bench, **{name: rates[name] for name in rates}}
    lines = [
        "| rule | " + " | ".join(parts) + " | worst of all | beyond twice its standard error |",
        "|---" * (len(parts) + 3) + "|",
    ]
    for rule in (bench["default_rule"], BEFORE, *LENGTHS, *bench["in_updates"]):
        cells = []
        for part in parts.values():
            row = part["rules"].get(rule) or part["in_updates"][rule]
            known = row["above_tuned"] is not None
            error = 100 * (row["above_tuned_error"] or 0.0)
            cells.append(f"{_percent(row['above_tuned'], 2)} ± {error:.2f}" if known else "-")
        row = bench["rules"].get(rule) or bench["in_updates"][rule]
        worst = f"{_percent(row['worst_above_tuned'])} | {_percent(row['worst_beyond_noise'])}"
        lines.append(f"| {_name(rule, bench)} | {' | '.join(cells)} | {worst} |")
    return lines


def lengths_table(bench: dict) -> list[str]:
    """The best length in updates at every horizon."""
    horizons = list(bench["by_horizon"])
    lines = [f"| optimizer | {' | '.join(horizons)} |", "|---" * (len(horizons) + 1) + "|"]
    for optimizer, found in bench["best_lengths"].items():
        cells = (f"{found[name]:,}" if name in found else "-" for name in horizons)
        lines.append(f"| {optimizer_name(optimizer)} | {' | '.join(cells)} |")
    return lines


def alarms_table(bench: dict) -> list[str]:
    """What rules do with recorded losses: false alarms, what they catch, how late."""
    lines = [
        "| rule | healthy logs | false alarms | noise alone | logs of a harmful rate | caught "
        "| before a third of the harm | when (median) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rule, found in bench["alarms"].items():
        when = found["median_share_of_the_run_when_caught"]
        lines.append(
            f"| {_name(rule, bench)} | {found['healthy']} | {found['false_alarms']} "
            f"| {found['noise_lowered']} of {found['noise']} "
            f"| {found['harmful']} | {found['caught']} | {found['caught_early']} "
            f"| {'-' if when is None else f'{100 * when:.0f} % of the run'} |"
        )
    return lines


def missed(bench: dict) -> list[str]:
    """The harmful logs that the default does not notice."""
    rows = bench["alarms"][bench["default_rule"]]["rows"]
    return [
        f"- {row['log']}: {_percent(row['harm'], 0)}"
        for row in rows
        if is_harmful(row) and not row["lowered_at"]
    ] or ["- none"]


SWEPT = {
    "d-muon": "D-Muon",
    "normalized-sgd": "normalized SGD",
    "soap": "SOAP",
    "lion": "Lion",
    "adamw": "AdamW",
}
"""Optimizers of the published sweeps that have a column of their own."""


def sweeps_table() -> list[str]:
    """What lengths of warm-up would have cost in published sweeps."""
    found = json.loads((BENCH.parent / "published_sweeps.json").read_text(encoding="utf-8"))[
        "policies"
    ]
    optimizers = list(found["paced, tokens known"]["all"]["by_optimizer"])
    short = [name for name in SWEPT if name in optimizers]
    lines = [
        "| length | mean regret | diverged | " + " | ".join(SWEPT[name] for name in short) + " |",
        "|---" * (len(short) + 3) + "|",
    ]
    for name, each in found.items():
        row = each["all"]
        cells = (_percent(row["by_optimizer"].get(optimizer), 2) for optimizer in short)
        lines.append(
            f"| {name} | {_percent(row['mean_regret'], 2)} "
            f"| {len(row['diverged'])} of {row['sweeps']} | {' | '.join(cells)} |"
        )
    return lines


def logs_table() -> list[str]:
    """What the default and the papers' laws do with the losses of published runs."""
    found = json.loads((BENCH.parent / "real_logs.json").read_text(encoding="utf-8"))
    lines = [
        "| run | updates | rate at the end, of the peak | lowered | warm-up ends at update "
        "| with its tokens |",
        "|---|---|---|---|---|---|",
    ]
    for run in found["runs"]:
        told = run["with_its_tokens"]
        lines.append(
            f"| {run['name']} | {run['updates']:,} | {run['share_of_the_peak_rate']:.2f} "
            f"| {run['lowered']} times | {run['warmup_end_step']:,} | {told['warmup_end_step']:,} |"
        )
    return lines


def clocks_table() -> list[str]:
    """Where clocks that read the loss would end, and what they take for its floor."""
    found = json.loads((BENCH.parent / "loss_clocks.json").read_text(encoding="utf-8"))["logs"]
    thresholds, looks = list(found[0]["knees"]), ("256", "512", "1024", "2048")
    lines = [
        "| losses | updates | "
        + " | ".join(f"knee at {100 * float(x):g} %" for x in thresholds)
        + " | final loss | "
        + " | ".join(f"floor at {int(at):,}" for at in looks)
        + " |",
        "|---" * (len(thresholds) + len(looks) + 3) + "|",
    ]
    for row in found:
        knees = (f"{at:,}" if (at := row["knees"][x]) else "none" for x in thresholds)
        floors = (f"{row['floors'][at]:.2f}" if at in row["floors"] else "-" for at in looks)
        lines.append(
            f"| {row['log']} | {row['updates']:,} | {' | '.join(knees)} "
            f"| {row['final_loss']:.2f} | {' | '.join(floors)} |"
        )
    return lines


def laws_table() -> list[str]:
    """Where the papers' laws end on recorded losses, with their own constants."""
    found = json.loads((BENCH.parent / "real_logs.json").read_text(encoding="utf-8"))["laws"]
    lines = [
        "| law | log | ends at update | share of the peak rate after 400 and 2,000 updates |",
        "|---|---|---|---|",
    ]
    for row in found:
        end = "not within the log" if row["end"] is None else f"{row['end']:,}"
        shares = " and ".join(f"{share:.2f}" for share in row["shares"])
        lines.append(f"| `{row['rule']}` | {row['log']} | {end} | {shares} |")
    return lines


def noise_scale_table() -> list[str]:
    """Batch over gradient noise scale along training."""
    found = json.loads((BENCH / "noise_scale.json").read_text(encoding="utf-8"))["measured"]
    lines = [
        "| set-up | noise scale at 10, 50 and 100 % of the run | batch over noise scale |",
        "|---|---|---|",
    ]
    for row in found:
        setup, points = row["setup"], row["points"]
        unit = "images" if setup["model"] == "digits" else "tokens"
        name = f"{optimizer_name(setup['optimizer'])}, {setup['model']}, batch of "
        name += f"{setup['batch'] * row['tokens_per_example']} {unit}"
        scales = ", ".join(f"{point['tokens']:,.0f}" for point in points)
        ratios = ", ".join(f"{point['batch_over_scale']:.2g}" for point in points)
        lines.append(f"| {name} | {scales} {unit} | {ratios} |")
    return lines
