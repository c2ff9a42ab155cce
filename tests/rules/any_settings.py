"""Rules with whatever settings, and losses that may be anything, for hypothesis."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from autowarmup.rules import GapLaw, Watched

ANY_LOSS = st.one_of(
    st.none(),
    st.floats(0, 20),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324]),
)
LAWS = st.builds(
    GapLaw,
    div=st.sampled_from([1.0, 1.5, 4.0, 100.0, 1e300]),
    end=st.one_of(st.sampled_from(["flat", "accurate"]), st.floats(0.01, 0.99)),
    kappa=st.sampled_from([1.0, 85.0, 1e8]),
    max_fraction=st.floats(0.01, 1),
    smoothing=st.sampled_from([0.0, 0.5, 0.9, 0.999]),
)
WATCHES = st.builds(
    Watched,
    share=st.floats(0.05, 1.0),
    power=st.sampled_from([0.4, 0.5, 1.0, 2.0]),
    looks=st.integers(1, 30),
    apart=st.integers(1, 6),
    least=st.floats(0.0, 0.2),
    gain=st.floats(0.0, 50.0),
    most=st.floats(1.0, 8.0),
    floor=st.floats(0.0, 1.0),
)


def begun(losses: list[float | None], bound: float = 0.0) -> list[float | None]:
    """Make the first finite loss one that lies above the bound, as rules demand of it."""
    at = [k for k, x in enumerate(losses) if x is not None and math.isfinite(x - bound)]
    return [bound + 1.0 + abs(bound) if k in at[:1] else x for k, x in enumerate(losses)]
