"""What a replay found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.lab.report.numbers import percent, short
from autowarmup.rules.families import family_named

Json = Mapping[str, Any]

CAVEAT = (
    "The losses are those of the rates that the run had. So this is a check of what the rule would "
    "have noticed, and when; it is no forecast of the loss that would have come of it."
)


def headline(record: Json) -> str:
    """Return in one sentence what the first rule would have done."""
    row = record["rules"][0]
    name, lowered = row["rule"].replace("%", " %"), row["lowered"]
    text = f"The rule {name} {_ramp(record, row)}"
    if not row["reads_loss"]:
        return f"{text}, whatever the loss."
    if not (lowered or row["lowers"]):
        return f"{text}, going by the loss."
    if not record["finite_losses"]:
        return f"{text} and never lowered the rate: no loss was a finite number."
    if not lowered:
        return f"{text} and never lowered the rate: the loss gave no reason to."
    first = lowered[0]
    many = {1: "once", 2: "twice, first"}
    times = many.get(len(lowered), f"{len(lowered)} times, first")
    return (
        f"{text} and lowered the rate {times} at update {first['step']:,}"
        f"{_of_run(record, first['step'])}, {_from_to(first)}{_because(first)}."
    )


def sentences(record: Json) -> list[str]:
    """Return what else there is to know: the run's own warm-up, later lowerings, what was odd."""
    row, texts = record["rules"][0], []
    for each in row["lowered"][1:4]:
        texts.append(
            f"It would have been lowered again at update {each['step']:,}, {_from_to(each)}"
            f"{_because(each)}."
        )
    if len(row["lowered"]) > 4:
        texts.append(f"And {len(row['lowered']) - 4} more times, as --json lists them.")
    if row["lowered"] and record["peak_rate"]:
        rate = short(row["lowest_share"] * record["peak_rate"], 1)
        texts.append(
            "If the loss had no other reason for it, such as a change of data, a peak rate near "
            f"{rate} is worth a trial."
        )
    if record["peak_reached_at"] is not None:
        at = record["peak_reached_at"]
        texts.append(
            f"The run itself reached its peak rate {short(record['peak_rate'])} at update {at:,}"
            f"{_of_run(record, at)}."
        )
    if not record["optimizer"] and "family" not in record["told"]:
        texts.append(
            "The optimizer is not known, so rules that go by its class take the longest warm-up, "
            "that of AdamW and Lion; say --optimizer."
        )
    elif unknown_class(record["optimizer"] or "adam"):
        texts.append(
            f"No class of optimizers is known by the name {record['optimizer']!r}: rules that go "
            "by it take the warm-up of AdamW."
        )
    total = record["total_steps"]
    if total is not None and total > record["updates"]:
        texts.append(f"The log covers {record['updates']:,} of the {total:,} updates of the run.")
    return [*texts, *record["notes"]]


def unknown_class(optimizer: str) -> bool:
    """Return whether a name says nothing of the class of an optimizer."""
    return family_named(optimizer) == "other" and "adam" not in optimizer.lower()


def _ramp(record: Json, row: Json) -> str:
    """Say when warm-up would have ended."""
    end = row["warmup_end_step"]
    if end is None:
        share = share_text(row["last_share"])
        return f"would still have warmed up where the log ends, at {share} of the peak rate"
    if end == 0:
        return "would have begun at the peak rate"
    return f"would have ended warm-up at update {end:,}{_of_run(record, end)}"


def _of_run(record: Json, step: int) -> str:
    total = record["total_steps"]
    if total is None:
        return ""
    return f" ({share_text(step / total)} of the run)"


def _from_to(lowered: Json) -> str:
    before, after = share_text(lowered["from"]), share_text(lowered["to"])
    return f"from {before} to {after} of the peak rate"


def _because(lowered: Json) -> str:
    if lowered.get("level") is None:
        return ""
    low, now = short(lowered["lowest"], 4), short(lowered["level"], 4)
    where = f"{low} (updates {lowered['lowest_from']:,} to {lowered['lowest_to']:,}) to {now}"
    if lowered["level"] > lowered["lowest"]:
        return f", because the loss had risen from {where}"
    return f"; the loss had gone from {where}"


def share_text(share: float) -> str:
    """Return a share in per cent, with decimals where it is small.

    Example:
        >>> share_text(0.00031), share_text(0.031), share_text(0.5), share_text(0.0)
        ('0.03 %', '3.1 %', '50 %', '0 %')
    """
    digits = 0 if share >= 0.1 or share <= 0 else 1 if share >= 0.001 else 2
    return percent(share, digits, signed=False)
