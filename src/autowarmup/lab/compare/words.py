"""What a comparison says, in sentences; nothing where it can say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.lab.report.numbers import count, interval_text, short
from autowarmup.lab.report.words import rule_name

Json = Mapping[str, Any]


def headline(summary: Json) -> str:
    """Return the comparison in one sentence."""
    reference, others = rule_name(summary["reference"]), summary["rules"][1:]
    if summary["no_verdict_because"]:
        return f"No verdict: {_lower_first(summary['no_verdict_because'][0])}"
    if not others:
        return f"There is nothing to compare {reference} with."
    told = {word: [r for r in others if r["verdict"] == word] for word in ("lower", "higher")}
    parts = [
        f"{_names(rows)} {'ends' if len(rows) == 1 else 'end'} {word} than {reference}"
        for word, rows in told.items()
        if rows
    ]
    rest = [row for row in others if row["verdict"] == "open"]
    seeds = count(len(summary["seeds"]), "seed")
    if summary["updates"] is not None:
        seeds += f" of {summary['updates']:,} updates"
    if not parts:
        if not rest:
            return f"No rule has enough runs to be compared with {reference} yet."
        return f"Over {seeds}, {_names(rest)} cannot be told from {reference}."
    text = f"Over {seeds}, {' and '.join(parts)}"
    return f"{text}; {_names(rest)} cannot be told from it." if rest else f"{text}."


def sentences(summary: Json) -> list[str]:
    """Return the differences with their errors, what diverged, and what to keep in mind."""
    texts = list(summary["no_verdict_because"][1:])
    reference = rule_name(summary["reference"])
    for row in summary["rules"][1:]:
        difference = row["difference"]
        if difference is None or difference["error"] is None:
            continue
        mean = difference["mean"]
        side = "above" if mean > 0 else "below"
        where = interval_text(difference["interval"])
        texts.append(
            f"{rule_name(row['rule'])} ends {short(abs(mean))} {side} {reference}, standard error "
            f"{short(difference['error'])} over {count(difference['seeds'], 'seed')} (95 % "
            f"interval of the difference {where})."
        )
    for row in summary["rules"]:
        if row["diverged"]:
            texts.append(
                f"{rule_name(row['rule'])} diverged in {row['diverged']} of "
                f"{count(row['runs'], 'run')}; its mean is over the others."
            )
    if len(summary["rules"]) > 4 and not summary["no_verdict_because"]:
        number = len(summary["rules"]) - 1
        texts.append(
            f"These are {number} comparisons at 95 % each: one in twenty is wrong by chance."
        )
    if summary["updates"] is None:
        texts.append("How many updates a run has is not known here.")
    if missing := summary["planned"] - summary["stored"]:
        texts.append(f"{missing} of {count(summary['planned'], 'run')} are missing.")
    return [*texts, *summary["failures"]]


def _names(rows: list[Json]) -> str:
    names = [rule_name(row["rule"]) for row in rows]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]
