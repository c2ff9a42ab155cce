"""One record -> `figures/`, one self-contained `measure.html`, and the same on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.curvature.names import law_formula, law_name, meaning, quantity_name
from autowarmup.lab.curvature.notes import caption, notes, subject, trouble
from autowarmup.lab.curvature.record import FILE, SHAPE, read_record
from autowarmup.lab.curvature.series import drawn_laws, laws
from autowarmup.lab.files import write_text
from autowarmup.lab.reading import mismatch
from autowarmup.lab.report.numbers import interval_text, number, share, short
from autowarmup.lab.report.page import pictures, render

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Json = Mapping[str, Any]

PAGE = "measure.html"

_PLACES = {"curvature_step": "tall", "residuals": "across"}


def page(out: str | Path) -> dict[str, Any]:
    """Draw OUT/measure.html and OUT/figures again from OUT/measure.json and return the record.

    The page needs no other file and no network; the same record gives the same bytes.

    Raises:
        ValueError: OUT holds no measure.json.
    """
    # Drawing needs the extra packages of `autowarmup[report]`; reading a record does not.
    from autowarmup.lab.curvature.figures import draw

    out = Path(out)
    record = read_record(out)
    if wrong := mismatch(record, SHAPE):
        raise ValueError(f"{out / FILE}: expected measured curvature, got {wrong}")
    names = draw(record, out / "figures")
    text = render(
        "page.html",
        room="curvature",
        label=record["label"],
        sentence=record["sentence"],
        subject=subject(record),
        trouble=trouble(record),
        notes=notes(record),
        figures=pictures(out / "figures", {name: caption(name, record) for name in names}, _PLACES),
        groups=_groups(record),
        letter=record["main"][0],
        facts=_facts(record),
    )
    write_text(out / PAGE, text)
    return record


def _groups(record: Json) -> list[dict[str, Any]]:
    """Return the rows of the table of fits, a group per quantity, the main one first."""
    drawn = drawn_laws(record).get("non_negative")
    groups = []
    for quantity, fit in record["quantities"].items():
        window = fit["window"]
        about = (
            f"{meaning(quantity)}; {window['points']} points of updates {window['first_step']} to "
            f"{window['last_step']}"
        )
        rows = [_row(law) | {"main": law is drawn} for law in laws(record, quantity)]
        groups.append({"name": quantity_name(quantity), "about": about, "rows": rows})
    return groups


def _row(law: Json) -> dict[str, Any]:
    above = number(law["share_above"])
    return {
        "name": law_name(law),
        "formula": law_formula(law),
        "cells": _constants(law, 3),
        "r_squared": share(law["r_squared"]),
        "above": "–" if above is None else f"{100 * above:.0f} %",
    }


def _constants(law: Json, digits: int) -> list[tuple[str, str]]:
    """Return K0, K1, K2 and rho of a law as text, each with its interval."""
    fitted = [*law["terms"], *(["rho"] if "K_rho" in law["terms"] else [])]
    return [
        (short(law[name]), interval_text(law["interval"].get(name), digits))
        if name in fitted
        else ("–", "")
        for name in ("K0", "K1", "K_rho", "rho")
    ]


def _facts(record: Json) -> list[tuple[str, str, bool]]:
    """Return where the numbers come from: (name, text, whether it is code)."""
    origin = record["source"].get("lower_bound_source")
    bound = f"{record['lower_bound']:g}" + (f" ({origin})" if origin else "")
    environment = ", ".join(f"{key} {value}" for key, value in record["environment"].items())
    facts = [
        ("Command", record["command"], True),
        ("Run", record["source"].get("train_command"), True),
        ("Seeds", ", ".join(map(str, record["seeds"])), False),
        ("Lower bound f*", bound, False),
        ("Configuration", json.dumps(record["config"], ensure_ascii=False), True),
        ("Environment", environment, False),
        ("Data behind this page", f"{FILE}, in the same directory", False),
    ]
    return [(name, text, code) for name, text, code in facts if text]


def print_record(
    record: Json, out: str | Path | None = None, console: Console | None = None
) -> None:
    """Print what was measured; with `out` also where its page lies."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console = console or RichConsole()
    console.print(Text(record["sentence"], style="bold"))
    for text in trouble(record):
        console.print(Text(text, style="red"))
    if laws(record):
        console.print(_table(record))
    for note in notes(record)[:3]:  # the page has them all
        console.print(Text(f"- {note}"))
    if out is not None:
        console.print(f"Open {Path(out) / PAGE} in a browser.", markup=False, highlight=False)


def _table(record: Json) -> Table:
    from autowarmup.lab.report.terminal import table

    letter = record["main"][0]
    names = (f"{letter}0", f"{letter}1", f"{letter}2", "rho", "R²")
    rows = []
    for law in laws(record):
        cells = [f"{text}\n{_broken(interval)}".rstrip() for text, interval in _constants(law, 2)]
        rows.append([law_name(law), *cells, share(law["r_squared"])])
    return table(
        [("fit", False), *((name, True) for name in names)],
        rows,
        title=f"{record['label']}: {quantity_name(record['main'])}",
        caption="95 % intervals below each constant",
    )


def _broken(interval: str) -> str:
    """Return an interval on two lines where one would take much of a terminal's width."""
    return interval if len(interval) < 13 else interval.replace(" to ", " to\n")
