"""Summary -> the verdict in plain words: who won, by how much, and what to keep in mind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import warmup_name

# A regret of at most this size counts as level with the best hand-tuned warm-up: on small models
# two seeds of one run differ by about as much.
LEVEL = 0.005

Json = Mapping[str, Any]


def verdict(summary: Json) -> dict[str, Any]:
    """Return the headline, further sentences, and the outcome by set-up label.

    Outcomes: "level" (regret within 0.5 %), "better" (below), "worse" (above), "unfinished" (some
    of its runs are not stored yet), "no number" (adaptive diverged or failed) and "alone" (adaptive
    finished, no hand-tuned warm-up did).
    """
    main = summary["main_rule"]
    if main is None:
        return {
            "headline": "No adaptive run is stored here yet: there is nothing to compare.",
            "sentences": _caveats(summary),
            "outcomes": {},
        }
    outcomes, regrets = {}, {}
    for setup in summary["setups"]:
        rule = next((rule for rule in setup["rules"] if rule["rule"] == main), None)
        unfinished = main in setup["not_yet_run"] or any(
            name.startswith("linear ") for name in setup["not_yet_run"]
        )
        outcomes[setup["label"]] = "unfinished" if unfinished else _outcome(rule)
        if rule is not None and rule["regret"] is not None:
            regrets[setup["label"]] = rule["regret"]
    return {
        "headline": _headline(outcomes, regrets),
        "sentences": [*_one_choice(summary), *_caveats(summary)],
        "outcomes": outcomes,
    }


def _outcome(rule: Json | None) -> str:
    if rule is None or rule["val_loss"] is None:
        return "no number"
    if rule["regret"] is None:
        return "alone"
    if abs(rule["regret"]) <= LEVEL:
        return "level"
    return "better" if rule["regret"] < 0 else "worse"


def _headline(outcomes: Mapping[str, str], regrets: Mapping[str, float]) -> str:
    groups: dict[str, list[str]] = {}
    for label, outcome in outcomes.items():
        groups.setdefault(outcome, []).append(label)
    parts: list[str] = []
    for outcome in ("better", "level", "worse", "alone", "no number", "unfinished"):
        if labels := groups.get(outcome):
            # Only the first part says against what and out of how many.
            first = not parts
            of = f" of {len(outcomes)} set-up{'s' if len(outcomes) > 1 else ''}" if first else ""
            says = _SAYS[outcome][0 if first else 1]
            parts.append(f"{says} in {len(labels)}{of} ({_detail(outcome, labels, regrets)})")
    return f"Adaptive warm-up {_join(parts)}."


_BEST = "the best hand-tuned warm-up"
_SAYS = {
    "better": (f"beat {_BEST}", "won"),
    "level": (f"was level with {_BEST}", "was level with it"),
    "worse": (f"lost to {_BEST}", "lost to it"),
    "alone": ("was the only one to finish",) * 2,
    "no number": ("diverged or failed",) * 2,
    "unfinished": ("cannot be judged yet",) * 2,
}


def _detail(outcome: str, labels: Sequence[str], regrets: Mapping[str, float]) -> str:
    if outcome == "better":
        return _span(regrets, labels)
    if outcome == "level":
        return _within(regrets, labels)
    if outcome == "worse":
        return "; ".join(f"{label}: {percent(regrets[label])}" for label in labels)
    return "; ".join(labels)


def _one_choice(summary: Json) -> list[str]:
    """Return what one choice for all set-ups costs: adaptive, the best fixed length, none."""
    if len(summary["setups"]) < 2:
        return []
    lines = {line["rule"]: line for line in summary["rules"]}
    whole = [line for line in summary["rules"] if line["with_number"] == len(summary["setups"])]
    adaptive = lines[summary["main_rule"]]
    linear = [line for line in whole if line["kind"] == "linear"]
    if adaptive not in whole or not linear:
        return []
    fixed = min(linear, key=lambda line: line["mean_regret"])
    name = warmup_name(fixed["warmup"])
    name = "no warm-up" if fixed["warmup"] == "1" else f"the best single length, {name},"
    text = (
        "Used unchanged in every set-up, adaptive is on average "
        f"{_against(adaptive['mean_regret'])} the hand-tuned best of each set-up; "
        f"{name} is {_against(fixed['mean_regret'])} it"
    )
    none = next((line for line in linear if line["warmup"] == "1"), None)
    if none is not None and none is not fixed:
        text += f", no warm-up {_against(none['mean_regret'])} it"
    return [text + "."]


def _against(regret: float) -> str:
    size = percent(abs(regret)).lstrip("+")
    return f"{size} {'better than' if regret < 0 else 'worse than'}"


def _caveats(summary: Json) -> list[str]:
    runs = summary["runs"]
    sentences = []
    if runs["stored"] < runs["expected"]:
        sentences.append(
            f"Unfinished: {runs['stored']} of {runs['expected']} runs are stored, "
            "the rest may change this verdict."
        )
    if runs["diverged"] or runs["failed"]:
        diverged, failed = _count(runs["diverged"]), _count(runs["failed"])
        sentences.append(f"{diverged} diverged and {failed} failed; each is listed with why.")
    if len(summary["seeds"]) == 1:
        sentences.append("One seed per run: differences of a fraction of a per cent can be chance.")
    elif spread := summary["seed_spread"]:
        sentences.append(
            f"The seeds of one setting lie {percent(spread['median']).lstrip('+')} apart in the "
            f"median and {percent(spread['most']).lstrip('+')} at most: smaller differences can be "
            "chance."
        )
    return sentences


def _span(regrets: Mapping[str, float], labels: Sequence[str]) -> str:
    sizes = [percent(abs(regrets[label])).lstrip("+") for label in labels]
    low, high = min(sizes, key=_number), max(sizes, key=_number)
    return f"by {low}" if low == high else f"by {low[:-2]} to {high}"


def _number(text: str) -> float:
    return float(text[:-2])


def _within(regrets: Mapping[str, float], labels: Sequence[str]) -> str:
    # Rounded upwards, or "within" would not be true.
    most = math.ceil(1000 * max(abs(regrets[label]) for label in labels) - 1e-9) / 1000
    return f"within {percent(max(most, 0.001)).lstrip('+')}"


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _join(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
