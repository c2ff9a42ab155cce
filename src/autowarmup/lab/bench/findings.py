"""What each figure of the benchmark shows, in one sentence that stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.lab.bench.names import TUNED_ONCE
from autowarmup.lab.bench.regret import mean
from autowarmup.lab.bench.verdict import ranked
from autowarmup.lab.report.numbers import count, percent, share
from autowarmup.lab.report.words import rule_name

Json = Mapping[str, Any]

FAR = 0.1
"""Regret from which on a set-up counts as lost by far."""


def mean_regret(summary: Json) -> str:
    """Return where the default stands among all rules by its mean."""
    known = [(r, x) for r, x in ranked(summary) if x["mean_regret"] is not None and r != TUNED_ONCE]
    if not known:
        return "Only a length that is searched in each set-up has a number."
    first, best = known[0]
    main = summary["default_rule"]
    at = next((at for at, (rule, _) in enumerate(known, 1) if rule == main), None)
    least = f"the least mean regret has {rule_name(first)}: {percent(best['mean_regret'], 2)}"
    if at is None:
        return f"Of {len(known)} rules {least}."
    line = known[at - 1][1]
    text = (
        f"{main} (the default) costs {percent(line['mean_regret'], 2)} on average and "
        f"{percent(line['worst_regret'])} at worst against the best hand-tuned length of each "
        "set-up"
    )
    if at == 1:
        return f"{text}: the least of {len(known)}."
    return f"{text}: place {at} of {len(known)}; {least}."


def heat_map(summary: Json) -> str:
    """Return in how many set-ups the default is close to, better and far worse than the best."""
    main = summary["default_rule"]
    found = [s["regrets"].get(main) for s in summary["setups"]]
    known = [regret for regret in found if regret is not None]
    if not known:
        return f"{main} has no number in any of {count(len(found), 'set-up')}."
    close, far = sum(abs(r) <= 0.01 for r in known), sum(r > FAR for r in known)
    below = sum(r < -0.01 for r in known)
    return (
        f"Of {count(len(known), 'set-up')} {main} (the default) ends within 1 % of the best "
        f"hand-tuned length in {close}, more than 1 % below it in {below}, and more than "
        f"{percent(FAR, 0, signed=False)} above it in {far}."
    )


def worst_cases(summary: Json) -> str:
    """Return where the default does worst, and which rule has the mildest worst case."""
    lines = {r: x for r, x in summary["rules"].items() if x["worst_regret"] is not None}
    mildest = min(lines, key=lambda rule: lines[rule]["worst_regret"])
    least = f"{rule_name(mildest)} ({percent(lines[mildest]['worst_regret'])})"
    main = summary["default_rule"]
    if main not in lines:
        return f"The mildest worst case has {least}."
    where = f"{percent(lines[main]['worst_regret'])}, in {lines[main]['worst_setup']}"
    if mildest == main:
        return f"{main} (the default) has the mildest worst case of all rules: {where}."
    return f"The worst case of {main} (the default) is {where}; the mildest has {least}."


def warmup_length(summary: Json) -> str:
    """Return how far the default ends from the best length in each of a few set-ups."""
    main, parts = summary["default_rule"], []
    for setup in summary["setups"]:
        regret, best = setup["regrets"].get(main), setup["best_hand_tuned"]
        if regret is not None and best is not None:
            parts.append(f"{percent(regret)} against {rule_name(best)} in {setup['label']}")
    if not parts:
        return f"There is no set-up yet in which {main} can be held against a hand-tuned length."
    return f"{main} (the default) without tuning: {'; '.join(parts)}."


def runs(summary: Json) -> str:
    """Return which rule ends lowest in each of a few set-ups."""
    parts = []
    for setup in summary["setups"]:
        ends = {
            rule: end for rule, vals in setup["vals"].items() if (end := mean(vals)) is not None
        }
        if ends:
            best = min(ends, key=lambda rule: ends[rule])
            parts.append(f"{rule_name(best)} in {setup['label']} ({share(ends[best], 3)})")
    return f"The lowest final validation loss has {'; '.join(parts)}." if parts else (
        "No run has come to its end."
    )  # fmt: skip
