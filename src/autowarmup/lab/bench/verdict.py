"""Summary -> plain sentences: where the default stands, and what to keep in mind."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from autowarmup.lab.bench.names import TUNED_ONCE
from autowarmup.lab.bench.regret import ONE_SEED
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import rule_name

Json = Mapping[str, Any]

SHORT = 100
"""Updates below which a run is a smoke test: its loss says nothing about warm-up."""
FEW = 6
"""Most set-ups that are looked at one by one."""


def ranked(summary: Json) -> list[tuple[str, Json]]:
    """Return every rule and what hand tuning on one seed brings, the lowest mean regret first."""
    lines = [*summary["rules"].items(), (TUNED_ONCE, summary["hand_tuned_cross_validated"])]
    return sorted(
        ((rule, line) for rule, line in lines if line["tried_setups"]),
        key=lambda item: (item[1]["mean_regret"] is None, item[1]["mean_regret"] or 0.0),
    )


def shown_to_work_only(summary: Json) -> int:
    """Return the updates of the longest run where all are too short for a verdict, else 0."""
    longest = max(setup["setup"]["steps"] for setup in summary["setups"])
    return longest if longest < SHORT else 0


def headline(summary: Json) -> str:
    """Return in one sentence how the default compares with hand tuning and with the other rules."""
    name = summary["default_rule"]
    line = summary["rules"].get(name)
    if longest := shown_to_work_only(summary):
        return (
            f"These runs of at most {longest} updates show that everything works; they are too "
            "short to say which warm-up is better."
        )
    if line is None:
        return f"The default rule, {name}, has no run here yet: there is nothing to compare."
    if line["mean_regret"] is None:
        return f"The default rule, {name}, cannot be compared with a hand-tuned length yet."
    known = [rule for rule, held in summary["rules"].items() if held["mean_regret"] is not None]
    total = summary["judged"]
    where = f"all {total}" if line["n_setups"] == total else f"{line['n_setups']} of {total}"
    text = (
        f"Used unchanged in {where} set-ups, {name} ends with a loss "
        f"{_against(line['mean_regret'])} that of the best hand-tuned warm-up on average and "
        f"{_against(line['worst_regret'])} it in the worst set-up; by the mean it is "
        f"{_ordinal(known.index(name) + 1)} of {len(known)} rules"
    )
    if lost := line["diverged_where_hand_tuned_survives"]:
        text += f", and it diverged in {lost} where a hand-tuned length did not"
    return text + "."


def sentences(summary: Json) -> list[str]:
    """Return what else a reader must know: other baselines, the noise, what is missing."""
    parts = (_baselines, _outcomes, _noise, _missing)
    if shown_to_work_only(summary):
        parts = (_missing,)
    return [text for part in parts for text in part(summary)]


def _baselines(summary: Json) -> list[str]:
    """Return what one length for all set-ups brings, and what a search on one seed brings."""
    texts = []
    share = best_length(summary["rules"])
    best = best_length({**summary["rules"], **summary["in_updates"]})
    if best is not None and share is not None:
        text = f"The best single length for all set-ups is {rule_name(best[0])}: {_both(best[1])}"
        if share[0] != best[0]:
            text += f"; the best share of the run is {rule_name(share[0])}: {_both(share[1])}"
        texts.append(f"{text}.")
    tuned = summary["hand_tuned_cross_validated"]
    if tuned["mean_regret"] is not None:
        texts.append(
            "Tuning the length by hand in every set-up, but choosing it on one seed and judging it "
            f"on the others, has {_both(tuned)}.{_beside_tuned(summary)}"
        )
    return texts


def best_length(lines: Mapping[str, Json]) -> tuple[str, Json] | None:
    """Return the hand-tuned length with the lowest mean, of those with a number everywhere."""
    fixed = [
        x for x in lines.items() if x[1]["kind"] == "fixed" and x[1]["mean_regret"] is not None
    ]
    # A length that has a number only where things are easy is no match for one that has all.
    most = max((line["n_setups"] for _, line in fixed), default=0)
    whole = [item for item in fixed if item[1]["n_setups"] == most]
    return min(whole, key=lambda item: item[1]["mean_regret"], default=None)


def _beside_tuned(summary: Json) -> str:
    """Return where the default lies beside the length that was chosen on other seeds."""
    line = summary["rules"].get(summary["default_rule"])
    if line is None or line["above_tuned_error"] is None:
        return ""
    gap, error = line["above_tuned"], line["above_tuned_error"]
    where = f"{percent(abs(gap), 2, signed=False)} {'below' if gap < 0 else 'above'} that"
    if abs(gap) <= error:
        where += ", which is no difference"
    return f" The default lies {where} (standard error {percent(error, 2, signed=False)})."


def _outcomes(summary: Json) -> list[str]:
    """Return in how many set-ups the default won, and its regret in each of a few."""
    main = summary["default_rule"]
    line = summary["rules"].get(main)
    if line is None or line["win_or_tie_share"] is None:
        return []
    noise = any(setup["seed_noise"] is not None for setup in summary["setups"])
    within = "the seed noise" if noise else f"{100 * ONE_SEED:g} %"
    text = (
        f"Set-up by set-up the default won {line['wins']}, tied {line['ties']} (within {within}) "
        f"and lost {line['losses']}."
    )
    regrets = {setup["label"]: setup["regrets"].get(main) for setup in summary["setups"]}
    known = [f"{label} {percent(value)}" for label, value in regrets.items() if value is not None]
    return [text, f"Its regret: {'; '.join(known)}."] if known and len(regrets) <= FEW else [text]


def _noise(summary: Json) -> list[str]:
    known = [s["seed_noise"] for s in summary["setups"] if s["seed_noise"] is not None]
    if not known:
        return ["No set-up has two seeds, so no small difference can be told from chance."]
    return [
        "The standard error of a difference of two rules in one set-up is "
        f"{percent(statistics.median(known), 2, signed=False)} in the median and "
        f"{percent(max(known), 2, signed=False)} at most."
    ]


def _missing(summary: Json) -> list[str]:
    """Say how many runs diverged and what is not run yet."""
    texts, runs, total = [], summary["runs"], summary["judged"]
    if runs["diverged"]:
        texts.append(
            f"{runs['diverged']} of {runs['stored']} runs diverged. A rule has no regret in a "
            "set-up where it diverged, so its mean is over fewer and easier set-ups: read it with "
            "the column of divergences."
        )
    fewer = [rule_name(r) for r, line in summary["rules"].items() if line["tried_setups"] < total]
    short = sum(bool(setup["missing_hand_tuned"]) for setup in summary["setups"])
    parts = [f"not run in every set-up: {', '.join(fewer)}"] if fewer else []
    parts += [f"hand-tuned lengths are missing in {short} of {total} set-ups"] if short else []
    return [*texts, f"Unfinished: {'; '.join(parts)}."] if parts else texts


def _both(line: Json) -> str:
    return f"mean regret {percent(line['mean_regret'], 2)}, worst {percent(line['worst_regret'])}"


def _against(regret: float) -> str:
    size = percent(abs(regret), signed=False)
    if float(size[:-2]) == 0:
        return "level with"
    return f"{size} {'below' if regret < 0 else 'above'}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
