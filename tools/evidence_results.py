"""What was shown and at which scale, for README.md and docs/index.md; how long the ramps are."""

from __future__ import annotations

import json
from pathlib import Path

import bench_results

from autowarmup.lab.bench.verdict import best_length
from autowarmup.lab.report.words import rule_name
from autowarmup.rules import Paced, Run
from autowarmup.rules.paced import OTHER_TOKENS, TOKENS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"


def _read(name: str) -> dict:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def _above(share: float) -> str:
    return f"{abs(100 * share):.1f} % {'below' if share < 0 else 'above'}"


def _both(row: dict) -> str:
    """Return the mean and the worst regret of a rule."""
    return f"{100 * row['mean_regret']:.1f} % (worst {100 * row['worst_regret']:.1f} %)"


def evidence_table() -> list[str]:
    """One row per kind of evidence: the models, what was done, and what came out."""
    bench = bench_results.summary()
    default = bench["rules"][bench["default_rule"]]
    found = best_length({**bench["rules"], **bench["in_updates"]})
    assert found is not None, "the committed benchmark has hand-tuned lengths"
    name, length = found
    tuned = bench["hand_tuned_cross_validated"]
    sweeps = _read("published_sweeps.json")["policies"]["paced, tokens not known"]["all"]
    fixed = [
        held["all"]
        for policy, held in _read("published_sweeps.json")["policies"].items()
        if policy.startswith("linear")
    ]
    lengths = [held["mean_regret"] for held in fixed]
    diverged = max(len(held["diverged"]) for held in fixed)
    logs = _read("real_logs.json")["runs"]
    alarms = bench["alarms"][bench["default_rule"]]
    late = ", mostly late" if 2 * alarms["caught_early"] < alarms["caught"] else ""
    lowered = sum(run["lowered"] > 0 for run in logs)
    best, last = (f"{100 * value:.2f}" for value in (min(lengths), max(lengths)))
    return [
        "| models | what was done | what came out |",
        "|---|---|---|",
        f"| LLaMAs, LSTM, ResNet, ViT of 0.02M to 0.07M parameters | trained in "
        f"{default['n_setups']} set-ups, 6 optimizers | final loss "
        f"{_above(default['mean_regret'])} the best of 7 hand-tuned lengths, searched in each "
        f"set-up (worst {100 * default['worst_regret']:.1f} %). One length for all, "
        f"{rule_name(name)}: {_both(length)}. Tuned by hand on another seed: {_both(tuned)} |",
        f"| 124M and 130M | length read off {sweeps['sweeps']} published sweeps, on which it was "
        f"chosen | final loss {100 * sweeps['mean_regret']:.2f} % above the best length of each. "
        f"One length for all: {best} to {last} %, and up to {diverged} diverge |",
        f"| 124M and 1.5B | fed the losses of {len(logs)} public runs that went well | lowers the "
        f"rate in {lowered} of them |",
        f"| small, at 4 or 16 times the best rate | fed the losses of {alarms['harmful']} runs "
        f"that this harmed | notices {alarms['caught']}{late}; false alarms in "
        f"{alarms['false_alarms']} of {alarms['healthy']} good runs |",
        "| above 0.4M | warm-ups compared by training | nothing yet |",
    ]


FAMILIES = {
    "spectral": "Muon and its kind",
    "frobenius": "normalized SGD",
    "preconditioned": "SOAP, Shampoo, Kron",
    "sign": "Lion, Signum, signSGD",
    "other": "AdamW and all others",
}


def lengths_table() -> list[str]:
    """One row per kind of optimizer: its ramp in updates, and in tokens where they are known."""
    lines = ["| optimizer | updates | tokens per parameter, where known |", "|---|---|---|"]
    for family, name in FAMILIES.items():
        updates = Paced().length_in(Run(None, family=family))
        tokens = f"{TOKENS.get(family, OTHER_TOKENS):g}"
        told = "updates are counted" if family == "frobenius" else tokens
        lines.append(f"| {name} | {updates:,} | {told} |")
    return lines


def pages() -> dict[Path, dict[str, list[str]]]:
    """Return the blocks between markers of these pages."""
    docs = ROOT / "docs"
    return {
        ROOT / "README.md": {"evidence": evidence_table()},
        docs / "index.md": {"evidence": evidence_table()},
        docs / "how-it-decides.md": {"lengths": lengths_table()},
    }
