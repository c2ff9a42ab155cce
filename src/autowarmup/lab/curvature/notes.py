"""The words of a page: what was measured, what to make of it, and what each figure shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.lab.curvature.names import law_formula, meaning, norm_name, quantity_name
from autowarmup.lab.curvature.series import (
    MOST_DRAWN,
    drawn_laws,
    ends,
    gap_rose,
    noise,
    series,
    trust_median,
)
from autowarmup.lab.report.numbers import interval_text, number, short

Json = Mapping[str, Any]

_LITERATURE = (
    "Published for comparison (Muon, LLaMA 124M on FineWeb, arXiv 2602.05813): K about 150 at gap "
    "4, about 1,500 at gap 2.3, and 700 to 1,400 below gap 2; the law explained 0.857 of the "
    "spread (R²) on an early window, with K1 negative. Model and data differ: compare the shape, "
    "not the level."
)


def subject(record: Json) -> str:
    """Return in one or two sentences what was measured, and from where to where it went."""
    found = series(record)
    name = quantity_name(found.quantity)
    about = str(record["source"].get("about") or "").strip()
    text = f"{about.rstrip('.')}. " if about else ""
    text += f"{name[0].upper()}{name[1:]}: {meaning(found.quantity)}. "
    text += _count(len(found), "measured update")
    if between := ends(found):
        (gap, value), (last_gap, last_value) = between
        text += (
            f"; the gap (loss − f*) went from {short(gap)} to {short(last_gap)} and "
            f"{found.quantity} from about {short(value, 2)} to about {short(last_value, 2)}"
        )
    return text + "."


def trouble(record: Json) -> list[str]:
    """Return what a reader must know before trusting the page: a diverged run, lost values."""
    source, found = record["source"], []
    if source.get("status") not in (None, "finished"):
        message = source.get("message") or ""
        found.append(f"This run {source['status']}{': ' if message else ''}{message}.")
    if missing := series(record).missing:
        lost = "was not finite and is" if missing == 1 else "were not finite and are"
        found.append(f"{_count(missing, 'measured value')} {lost} left out.")
    return found


def notes(record: Json) -> list[str]:
    """Return what to make of the numbers, a sentence or two each, the most telling first."""
    found = [_free_sign(record), _noise(record), _trust(record)]
    found += [_window(record), _pairings(record), _counted(record), _determinism(record)]
    found += [
        f"No law for {quantity}: {sentence}."
        for quantity, sentence in record["not_fitted"].items()
        if quantity != record["main"]
    ]
    if record["source"]["kind"] in ("train", "run") and record["config"].get("optimizer") == "muon":
        found.append(_LITERATURE)
    return [note for note in found if note]


def _window(record: Json) -> str:
    window = record["window"]
    if not window:
        return ""
    return (
        f"The laws are fitted to {_count(window['points'], 'point')} between updates "
        f"{window['first_step']} and {window['last_step']}. {window['rule']} "
        f"{record['quantities'][record['main']]['method']}"
    )


def _pairings(record: Json) -> str:
    """Say how much the slope depends on which of its two gaps an update is paired with."""
    fit = record["quantities"].get(record["main"], {})
    found = fit.get("pairings", {})
    names = {"before": "the gap before the step", "after": "the gap after it", "max": "the larger"}
    slopes = [f"{short(found[key]['p'])} with {names[key]}" for key in names if key in found]
    if len(slopes) < 2:
        return ""
    used = names[fit["pairing"]]
    return f"An update has two gaps; used here: {used}. The slope is {', '.join(slopes)}."


def _free_sign(record: Json) -> str:
    """Say what a negative K1 means: the constants of the theory are not negative."""
    chosen = drawn_laws(record)
    law, bound = chosen.get("free"), chosen.get("non_negative")
    k1 = None if law is None else number(law["K1"])
    if law is None or k1 is None or k1 >= 0:
        return ""
    letter = record["main"][0]
    between = interval_text(law["interval"].get("K1"))
    level = ""
    if bound is not None and not bound["K1"] and not bound["K_rho"]:
        level = f" The best law it allows is the constant {letter}0 = {short(bound['K0'])}."
    return (
        f"With free signs {letter}1 comes out negative ({short(k1)}"
        f"{f', 95 % interval {between}' if between else ''}). The theory asks for constants ≥ 0, "
        f"which can only describe a curvature that falls as the gap falls.{level}"
    )


def _noise(record: Json) -> str:
    found = noise(record)
    if found is None:
        return ""
    return (
        f"Batch noise alone would give {short(found[0], 2)} times the measured K (median over "
        f"{_count(found[1], 'point')}): so far apart are the gradients of two batches at one "
        "and the same point. Here both gradients are taken on the same batch."
    )


def _trust(record: Json) -> str:
    median = trust_median(record)
    if median is None:
        return ""
    return (
        f"Actual over promised decrease of the loss, on the step's own batch: {short(median, 2)} "
        "(median). 1 is a straight slope, 0.5 the best step on a parabola; below 0 the loss rose."
    )


def _counted(record: Json) -> str:
    text, counted = f"Norm of the updates: {norm_name(record['norm'])}.", record["counted"]
    if not counted:
        return text
    if counted.get("about"):
        text = f"{text} {counted['about']}"
    return (
        f"{text} Counted: {counted['parameters']:,} parameters of {counted['moving_parameters']:,} "
        f"that move in {_count(counted['blocks'], 'block')} ({counted['count']})."
    )


def _determinism(record: Json) -> str:
    seen = record["determinism"]
    if not seen:
        return ""
    if seen["loss"] == 0 and seen["gradient"] == 0:
        return "Two evaluations of one batch at the same weights agreed to the last bit."
    return (
        "Two evaluations of one batch at the same weights agreed within "
        f"{short(seen['loss'], 2)} of the loss and {short(seen['gradient'], 2)} of the gradient."
    )


def caption(name: str, record: Json) -> tuple[str, str]:
    """Return the title and the caption of a figure of a record."""
    found, chosen = series(record), drawn_laws(record)
    q = found.quantity
    thing = "Hessian norm" if q == "H" else "Curvature"
    way = "Training runs from left to right"
    if gap_rose(found):
        way = "Here the gap rose, so that training runs from right to left"
    drawn = " Too few points for a fitted law."
    if "non_negative" in chosen:
        drawn = (
            f" Full line: the law {law_formula(chosen['non_negative']).replace('K', q)}, with "
            "constants that may not be negative, as the theory asks; dashed: the same with free "
            "signs. Pale points lie outside the fitted window."
        )
    if len(found) > MOST_DRAWN:
        drawn += f" Of {len(found):,} points at most {MOST_DRAWN:,} are drawn, evenly spaced."
    dotted = ""
    if noise(record) is not None:
        dotted = " Dotted: what two batches would report as curvature at one and the same point."
    return {
        "curvature_gap": (
            f"{thing} against the gap",
            f"Each point is one measured update. {way} (dark to light).{drawn}",
        ),
        "curvature_step": (
            f"{thing} and gap, step by step",
            f"Above {q}, below the gap to the lower bound of the loss. Shaded: the updates that "
            f"the laws are fitted to.{dotted}",
        ),
        "curvature_rate": (
            f"{thing} against the learning rate",
            f"Warm-up walks to the right (dark), decay back to the left (light). If {q} only "
            "followed the rate, both ways would lie on one another.",
        ),
        "trust_ratio": (
            "Did the steps pay off?",
            "Decrease of the loss on the step's own batch over the decrease that the slope "
            "promised. Triangles at the edge lie beyond the axis.",
        ),
        "residuals": (
            "How well the laws fit",
            f"Measured {q} over fitted {q}; on the line at 1 the law is exact. A slope or a bend "
            "in the cloud is what the law cannot describe.",
        ),
    }[name]


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}{'s' * (number_of != 1)}"
