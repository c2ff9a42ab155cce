"""What each figure of a measured run shows, in one sentence that stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autowarmup.lab.curvature.series import column, drawn_laws, ends, law_values, series
from autowarmup.lab.report.numbers import count, percent, short

Json = Mapping[str, Any]


def finding(name: str, record: Json) -> str:
    """Return the finding of the figure of that name."""
    if name == "curvature_gap":
        return str(record["sentence"])
    return {
        "curvature_step": _step,
        "curvature_rate": _rate,
        "trust_ratio": _trust,
        "residuals": _residuals,
    }[name](record)


def _step(record: Json) -> str:
    found = series(record)
    q, between = found.quantity, ends(found)
    if between is None:
        return f"{count(len(found), 'value')} of {q} were measured: too few to say where it goes."
    (gap, value), (last_gap, last_value) = between
    way = "rises" if last_value > 1.1 * value else "falls" if last_value < value / 1.1 else "stays"
    return (
        f"Over the run {q} {way} from about {short(value, 2)} to about {short(last_value, 2)}, "
        f"while the gap goes from {short(gap)} to {short(last_gap)}."
    )


def _rate(record: Json) -> str:
    found = series(record)
    found = found.where(found.lr > 0)
    low, high = np.quantile(found.lr, (0.2, 0.8))
    slow, fast = (
        float(np.median(found.value[mask])) for mask in (found.lr <= low, found.lr >= high)
    )
    return (
        f"At the lowest fifth of the rates {found.quantity} is {short(slow, 2)} in the median, at "
        f"the highest fifth {short(fast, 2)}."
    )


def _trust(record: Json) -> str:
    ratio = column(record["points"], "trust_ratio")
    ratio = ratio[np.isfinite(ratio)]
    rose = int(np.sum(ratio < 0))
    return (
        f"In the median a step lowered the loss by {percent(np.median(ratio), 0, signed=False)} of "
        f"what the slope promised; it rose in {rose:,} of {count(len(ratio), 'measured step')}."
    )


def _residuals(record: Json) -> str:
    found = series(record)
    found = found.where(found.inside & (found.value > 0))
    law = next(iter(drawn_laws(record).values()))
    fitted = law_values(law, found.gap)
    known = fitted > 0
    if not known.any():
        return "The law is nowhere positive, so that nothing can be held against it."
    off = np.exp(np.abs(np.log(found.value[known] / fitted[known])))
    half, most = np.quantile(off, (0.5, 0.9))
    return (
        f"Half of {count(int(known.sum()), 'point')} lie within a factor of {short(half, 2)} of "
        f"the law, nine in ten within {short(most, 2)}."
    )
