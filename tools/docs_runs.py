"""The runs behind the documentation's pictures: what a rule does, alone and on committed losses."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from autowarmup.rules import Run, Status, WarmupState, begin, rule_of, step
from autowarmup.rules.brake import Looks

BENCH = Path(__file__).resolve().parent.parent / "results" / "bench"
SETUPS = ("sgd-micro-b8-2500", "normsgd-micro-b8-2500", "sgd-mini-b8-1500", "sgd-micro-b8-600")
"""Set-ups to look for a run whose rate is four times the best, and in which the rate is lowered."""
TOO_HIGH = 4.0


def walk(rule: str, run: Run, losses: list[float] | None = None) -> list[WarmupState]:
    """Return the state before each update of a run, and after the last."""
    states = [begin(rule_of(rule), run)]
    for k in range(run.length):
        states.append(step(states[-1], None if losses is None else losses[k]))
    return states


def shares(rule: str, run: Run, losses: list[float] | None = None) -> list[float]:
    """Return the share of the peak rate that each update uses."""
    return [state.factor for state in walk(rule, run, losses)[:-1]]


@cache
def records(folder: str, setup: str) -> dict[str, dict[str, Any]]:
    """Return rule -> the run of the first seed at four times the best rate of a set-up."""
    recorded = _lines("recorded", setup)
    best = next(row["options"]["best"] for row in recorded)
    rows = recorded if folder else _lines(folder, setup)
    return {
        row["rule"]: row
        for row in rows
        if row["seed"] == 0 and abs(row["setup"]["lr"] / best - TOO_HIGH) < 1e-6
    }


def _lines(folder: str, setup: str) -> list[dict[str, Any]]:
    path = BENCH / folder / "runs" / f"{setup}.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if path.exists()
        else []
    )


def lowerings(states: list[WarmupState]) -> list[int]:
    """Return the updates whose losses made a rule lower the rate."""
    return [state.step - 1 for state in states if state.status is Status.LOWERED]


@cache
def replayed() -> tuple[list[float], list[WarmupState]]:
    """Return recorded losses that make the default lower the rate, and what it does with them.

    They are those of the same ramp without the brake.
    """
    for setup in SETUPS:
        for row in records("recorded", setup).values():
            losses = row["every_loss"]
            states = walk("paced", Run(len(losses)), losses)
            if lowerings(states):
                return losses, states
    raise ValueError("expected recorded losses for which the default lowers the rate, got none")


@cache
def trained_runs() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run that was trained with the default, which lowered its rate, and one by hand."""
    for setup in SETUPS:
        found = records("", setup)
        ours, hand = found.get("paced"), found.get("linear 10%")
        if ours and hand and ours["lowered"] and hand["val_loss"]:
            return ours, hand
    raise ValueError("expected a trained run whose rate the default lowered, got none")


def looks_of(states: list[WarmupState]) -> list[tuple[int, Looks]]:
    """Return (update, what was known after it) of every look at the loss."""
    found: list[tuple[int, Looks]] = []
    for state in states[1:]:
        looks = getattr(state.memory, "looks", None)
        if isinstance(looks, Looks) and (not found or looks.number > found[-1][1].number):
            found.append((state.step - 1, looks))
    return found
