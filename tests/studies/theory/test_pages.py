"""Every number in the prose of the two pages is one of their records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from studies.theory.picture_search import PEAKS, RATES, WARMUPS
from studies.theory.separation_functions import in_the_plane, on_the_line

ROOT = Path(__file__).parents[3]


def page(name: str) -> str:
    return " ".join((ROOT / "docs" / "theory" / f"{name}.md").read_text().split())


def record(name: str) -> dict:
    return json.loads((ROOT / "results" / "theory" / f"{name}.json").read_text())


def superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def test_the_page_of_the_separation_quotes_its_record():
    held, text = record("separation"), page("separation")
    at = held["decades"].index(6)
    line, plane = held["dimensions"]["1"], held["dimensions"]["2"]
    warmup = line["warmup"]
    ratios = {
        d: np.divide(side["best_fixed"], side["warmup"])[:, -1]
        for d, side in held["dimensions"].items()
    }
    assert held["main_decades"] == 6
    assert f"kappa = {held['kappa']:g};" in text
    assert f"grid of {held['tries']} that" in text
    assert f"At z = {held['z'][-1]:g} it takes {ratios['1'][at]:.2f} times the steps" in text
    assert f"That step is {line['best_factor'][at][-1]:.1f} times the theorem's" in text
    from_one = np.array(held["z"]) >= 1
    off = np.divide(line["best_fixed"], held["bounds"]["lower_fixed"])[at][from_one]
    assert off.max() <= 1.01
    assert np.diff(ratios["1"]) == pytest.approx(0.15, abs=0.02)
    ends = f"from {ratios['1'][0]:.2f} at 10⁻¹ to {ratios['1'][-1]:.2f} at 10⁻{superscript(9)}"
    assert ends in text
    proved = held["proved_advantage"]
    first = next(d for d, r in zip(proved["decades"], proved["ratio"], strict=True) if r > 1)
    assert f"exceeds 1 only from 10⁻{superscript(first)} on" in text
    assert f"{ratios['2'][at]:.2f} times fewer steps at z = 1000 and 10⁻⁶" in text
    assert f"{ratios['2'][-1]:.2f} times at 10⁻⁹" in text
    assert f"is {plane['best_factor'][at][-1]:.2f} times the theorem's at z = 1000" in text
    assert f"fails at {plane['least_dropped_factor'][-1]:.2f} times" in text
    upper = held["bounds"]["upper_warmup"][at][-1]
    assert f"at least {plane['best_fixed'][at][-1] / upper:.1f} times" in text
    assert f"takes {line['best_fixed'][at][0]} steps, warm-up {warmup[at][0]}," in text
    assert f"looks {held['theorem_fixed'][-1] / warmup[at][-1]:.1f} times as fast" in text
    assert f"and {held['one_function']['warmup'][at][-1]} with warm-up" in text
    published = held["bounds"]["upper_warmup_published"][at][-1]
    assert f"{published:,.0f} steps at z = 1000, the one above by {upper:,.0f}," in text
    assert f"in the plane took {plane['best_fixed'][at][-1]:,}" in text


def test_the_page_of_the_separation_tells_what_was_run():
    text, rng = page("separation"), np.random.default_rng(0)
    line = [name for group in on_the_line(10.0, rng) for name in group.names]
    plane = [name for group in in_the_plane(10.0) for name in group.names]
    assert "six random ones" in text
    assert sum("random" in name for name in line) == 6
    assert f"{sum('product' in name for name in plane)} products of two cosh" in text
    held = record("separation")["dimensions"]
    assert (held["1"]["members"], held["2"]["members"]) == (line, plane)


def test_the_page_of_the_picture_quotes_its_record():
    held, text = record("picture"), page("picture")
    sides = list(held["norms"].values())

    def ratios(above: str, below: str) -> list[float]:
        return [
            median(np.divide(side["steps"][above][-1], side["steps"][below][-1])) for side in sides
        ]

    def span(values: list[float], form: str) -> str:
        return f"{min(values):{form}} to {max(values):{form}}"

    rose = [value for side in sides for value in side["rate_rose_by"]]
    assert f"all {len(rose)} functions the rate rises {span(rose, '.1f')} times" in text
    certified = ratios("certified_fixed", "theorem")
    assert f"{span(certified, '.1f')} times (medians of the three norms)" in text
    assert f"needs {span(ratios('theorem', 'best_fixed'), '.0f')} times fewer" in text
    assert f"is {span(ratios('theorem', 'theorem_slope'), '.1f')} times as fast" in text
    share = [100 * value for value in ratios("theorem", "bound")]
    assert f"takes {span(share, '.1f')} % of the steps" in text
    shares = [value for side in sides for value in side["linear_warmup_share"]]
    without = sum(value == 0 for value in shares)
    assert f"{without} of {len(shares)}, have no warm-up" in text
    assert f"{2 * len(RATES)} fixed rates" in text
    assert f"{len(PEAKS)} peak rates and {len(WARMUPS)} warm-up lengths" in text
    assert re.search(r"l2.*l∞.*spectral", text)
