from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.page import inline_svg


def test_inline_svg_keeps_ids_apart() -> None:
    text = (
        '<?xml version="1.0"?>\n<svg width="1pt" height="2pt" viewBox="0 0 1 2">'
        '<metadata>http://x</metadata><g id="a" clip-path="url(#b)"/><use xlink:href="#a"/></svg>'
    )
    assert inline_svg(text, "p") == (
        '<svg viewBox="0 0 1 2"><g id="p-a" clip-path="url(#p-b)"/><use xlink:href="#p-a"/></svg>'
    )


@given(st.floats(-0.9, 9.0))
def test_percentages_never_show_a_signed_zero(share: float) -> None:
    text = percent(share)
    assert text.endswith(" %")
    assert text not in ("+0.0 %", "−0.0 %")
    assert float(text[:-2].replace("−", "-")) == pytest.approx(100 * share, abs=0.051)
