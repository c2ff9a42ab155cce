"""Records -> summary: the regret of every rule over set-ups, as plain JSON values.

Numbers of one set-up are defined in `bench.regret`; `bench.aggregate` puts them together over any
of the parts that `bench.parts` names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autowarmup.lab.bench.aggregate import rule_table
from autowarmup.lab.bench.names import multiple_of, setup_name, shared_parts
from autowarmup.lab.bench.parts import batches, choices, columns, horizons, place, rates
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.regret import setup_summary
from autowarmup.lab.bench.rules import described
from autowarmup.lab.bench.sets import FAR
from autowarmup.lab.bench.setups import key
from autowarmup.lab.bench.update_lengths import best_lengths, in_updates
from autowarmup.rules.registry import DEFAULT_RULE

SUMMARY_FORMAT = "autowarmup-bench-2"
Json = dict[str, Any]


def summarise(records: Iterable[Record], *, default_rule: str = DEFAULT_RULE) -> Json:
    """Return the summary of a benchmark's records.

    Args:
        records: those with options of the rule are left out, because a rule is judged with nothing
            tuned, and so are set-ups in which only one rule was run, if there are others.
        default_rule: the rule that is judged.

    Raises:
        ValueError: there is no record, or two records are of the same run.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        if not record["options"]:
            groups.setdefault(key(record["setup"]), []).append(record)
    if not groups:
        raise ValueError("summarise: expected at least one record without options, got none")
    # A set-up with one rule, as in the sweep of rates, compares nothing: the rule would be its own
    # best and its mean regret would look better than it is.
    several = [group for group in groups.values() if len({r["rule"] for r in group}) > 1]
    chosen = several or list(groups.values())
    kept = [record for group in chosen for record in group]
    kinds = {rule: described(rule).kind for rule in {record["rule"] for record in kept}}
    shared = shared_parts([group[0]["setup"] for group in chosen])
    setups = [
        {"label": setup_name(group[0]["setup"], shared), **setup_summary(group, kinds)}
        for group in chosen
    ]
    setups.sort(key=place)
    _note_missing(setups, kinds)
    judged = [s for s in setups if multiple_of(s["setup"]) != FAR] or setups
    statuses = Counter(record["status"] for record in kept)
    return {
        "format": SUMMARY_FORMAT,
        "default_rule": default_rule,
        "runs": {
            "stored": len(kept),
            "finished": statuses["finished"],
            "diverged": statuses["diverged"],
        },
        "judged": len(judged),
        **rule_table(judged, kinds, default_rule),
        "setups": setups,
        **{
            title: {
                name: {
                    "n_setups": len(part),
                    **rule_table(part, kinds, default_rule),
                    "in_updates": in_updates(part, default_rule),
                }
                for name, part in parts.items()
            }
            for title, parts in (
                ("by_column", columns(judged)),
                ("by_horizon", horizons(setups)),
                ("by_batch", batches(setups)),
                ("by_rate", rates(setups)),
                ("by_choice", choices(judged)),
            )
        },
        "in_updates": in_updates(judged, default_rule),
        "best_lengths": best_lengths(setups),
    }


def _note_missing(setups: Sequence[Json], kinds: Mapping[str, str]) -> None:
    """Say where a hand-tuned length that others have is not run yet: the best may be another."""
    held = dict.fromkeys(rule for setup in setups for rule in setup["regrets"])
    for setup in setups:
        # A run that lacks some seed is not compared; a diverged one is.
        setup["missing_hand_tuned"] = [
            rule for rule in held if kinds[rule] == "fixed" and rule not in setup["starts"]
        ]
