"""One record -> `figures/` and one self-contained `measure.html`; reads a file, never trains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.curvature.names import law_name, law_terms, meaning, quantity_name
from autowarmup.lab.curvature.notes import caption, notes, subject, trouble
from autowarmup.lab.curvature.series import drawn_laws, laws, main_quantity
from autowarmup.lab.curvature.store import read_record
from autowarmup.lab.files import write_aside
from autowarmup.lab.report.numbers import interval_text, number, share, short
from autowarmup.lab.report.page import pictures, render

Json = Mapping[str, Any]

PAGE = "measure.html"

_PLACES = {"curvature_step": "tall", "residuals": "wide"}


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
    names = draw(record, out / "figures")
    figures = pictures(out / "figures", {name: caption(name, record) for name in names}, _PLACES)
    letter = "H" if main_quantity(record) == "H" else "K"
    text = render(
        "page.html",
        room="curvature",
        label=record["label"],
        sentence=record["sentence"],
        subject=subject(record),
        trouble=trouble(record),
        notes=notes(record),
        figures=figures,
        groups=_groups(record),
        letter=letter,
        facts=_facts(record),
    )
    write_aside(out / PAGE, text.encode())
    return record


def _groups(record: Json) -> list[dict[str, Any]]:
    """Return the rows of the table of fits, a group per quantity, the main one first."""
    drawn = drawn_laws(record).get("non_negative")
    groups = []
    for quantity in record["quantities"]:
        window = record["quantities"][quantity]["window"]
        about = (
            f"{meaning(quantity)}; {window['points']} points of updates {window['first_step']} to "
            f"{window['last_step']}"
        )
        rows = [_row(law, main=law is drawn) for law in laws(record, quantity)]
        groups.append({"name": quantity_name(quantity), "about": about, "rows": rows})
    return groups


def _row(law: Json, *, main: bool) -> dict[str, Any]:
    intervals = law.get("interval") or {}
    cells = []
    for name in ("K0", "K1", "K_rho"):
        absent = name not in law["terms"]
        held = ("–", "") if absent else (short(law[name]), interval_text(intervals.get(name)))
        cells.append(held)
    rho = short(law.get("rho")) if "K_rho" in law["terms"] else "–"
    cells.append((rho, interval_text(intervals.get("rho"))))
    above = number(law.get("share_above"))
    return {
        "main": main,
        "name": law_name(law),
        "formula": law_terms(law),
        "cells": cells,
        "r_squared": share(law.get("r_squared")),
        "above": "–" if above is None else f"{100 * above:.0f} %",
    }


def _facts(record: Json) -> list[tuple[str, str, bool]]:
    """Return where the numbers come from: (name, text, whether it is code)."""
    source = record.get("source") or {}
    facts = [
        ("Command", record["command"], True),
        ("Run", source.get("train_command"), True),
        ("Seeds", ", ".join(map(str, record["seeds"])), False),
        ("Lower bound f*", _lower_bound(record), False),
        ("Configuration", json.dumps(record["config"], ensure_ascii=False), True),
        ("Environment", _listed(record["environment"]), False),
        ("Data behind this page", "measure.json, in the same directory", False),
    ]
    return [(name, text, code) for name, text, code in facts if text]


def _lower_bound(record: Json) -> str:
    origin = (record.get("source") or {}).get("f_star_source")
    return f"{record['f_star']:g}" + (f" ({origin})" if origin else "")


def _listed(values: Json | Sequence[Any]) -> str:
    if not isinstance(values, Mapping):
        return ", ".join(map(str, values))
    return ", ".join(f"{key} {value}" for key, value in values.items())
