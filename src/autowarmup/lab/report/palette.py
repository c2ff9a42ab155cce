"""The one place that says what a colour means, on every page, in every figure and every picture.

Each colour has one value for light and one for dark ground. The values were searched for: within
the usual hues (the default orange, hand-tuned blue) the least distance in CIELAB between any two
that can stand in one figure, as seen with normal eyes and simulated for protanopia and deuteranopia
(Machado, Oliveira and Fernandes 2009), is as large as the search could make it; whatever is written
in a colour has the contrast of WCAG AA. `tests/lab/report/test_palette.py` holds both. No
figure tells two things apart by colour alone: markers, dashes, places or words do so as well.

Figures are drawn in the values for light ground; `themed` and `dark` change them in an SVG file.
"""

from __future__ import annotations

import re

MEANINGS: dict[str, tuple[str, str, str]] = {
    "ground": ("#ffffff", "#12161c", "what everything stands on"),
    "ink": ("#1f2933", "#eceff3", "text, axes at zero, what needs no colour"),
    "muted": ("#5b6672", "#a9b2bd", "names of axes and other small print"),
    "line": ("#dde3e9", "#3a424d", "rules of tables, faint lines, cells without a number"),
    "grid": ("#eef1f4", "#232a33", "the grid of a figure"),
    "default": ("#c04f0e", "#ff7a1f", "the default rule of this library"),
    "hand": ("#2668c8", "#66b8ff", "warm-up that is tuned by hand: fixed lengths, fixed steps"),
    "paper": ("#601c75", "#bb62a8", "a rule from a paper"),
    "other": ("#7c93a3", "#a3b4be", "any other rule or curve beside the main one"),
    "better": ("#046c46", "#5fe8a4", "better: a lower loss, a statement that holds"),
    "worse": ("#700408", "#e26273", "worse: a higher loss, divergence, a rate that was lowered"),
    "theory": ("#7a5a00", "#f0d67a", "what a theorem or a fitted law says"),
    "main": ("#fdf0e6", "#33241a", "behind the row of the default or of the reference"),
    "band": ("#e6edf5", "#212c38", "behind a range: an interval, a window"),
}
"""Name -> (on light ground, on dark ground, what it means)."""

GROUND, INK, MUTED, LINE, GRID, DEFAULT, HAND, PAPER, OTHER, BETTER, WORSE, THEORY, MAIN, BAND = (
    light for light, _, _ in MEANINGS.values()
)


def mix(first: str, last: str, share: float) -> str:
    """Return the colour that lies so far on the way from one to the other.

    Example:
        >>> mix("#000000", "#ffffff", 0.2)
        '#333333'
    """
    pairs = [(int(first[k : k + 2], 16), int(last[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def _ramp(name: str, light: tuple[str, str], dark: tuple[str, str], shares: list[float]) -> None:
    for index, share in enumerate(shares):
        _RAMPS[f"{name}-{index}"] = (mix(*light, share), mix(*dark, share))


_RAMPS: dict[str, tuple[str, str]] = {}
_ramp("time", ("#06343d", "#58c3d0"), ("#1f7f8a", "#c9f6f9"), [k / 19 for k in range(20)])
_ramp("length", ("#9dbdf0", "#0f3470"), ("#2f5f96", "#b5dcff"), [k / 7 for k in range(8)])
# Cells: pale ones under dark ink, then strong ones under light ink; in between neither could be
# read. Pale red and pale green are one colour to many eyes: better is cool, worse is warm.
_NIGHT = MEANINGS["ground"][1]
for _name, _pale, _strong in (
    ("worse", ("#ddb583", "#6b4715"), (("#94400f", "#ffb58a"), ("#6c0509", "#ff9a86"))),
    ("better", ("#9fcfda", "#17586a"), (("#1a6f6c", "#7fe0ea"), ("#03563a", "#7deeb5"))),
):
    _ramp(f"{_name}-pale", (GROUND, _pale[0]), (_NIGHT, _pale[1]), [0.25, 0.5, 0.75, 1.0])
    (_first, _night_first), (_last, _night_last) = _strong
    _ramp(f"{_name}-strong", (_first, _last), (_night_first, _night_last), [0, 1 / 3, 2 / 3, 1.0])

PAIRS = {
    **{name: (light, dark) for name, (light, dark, _) in MEANINGS.items()},
    **_RAMPS,
    "level": ("#f6f7f9", "#1b2129"),
}
"""Every colour there is, name -> (on light ground, on dark ground)."""
NAMES = {light: name for name, (light, _) in PAIRS.items()}

TIME = [_RAMPS[f"time-{k}"][0] for k in range(20)]
"""Measured values along training, the early dark and the late light."""
MEASURED = TIME[9]
"""Measured values where time plays no part."""
LENGTHS = [_RAMPS[f"length-{k}"][0] for k in range(8)]
"""Hand-tuned lengths, the shortest pale and the longest dark."""
_CELLS = {
    side: [_RAMPS[f"{side}-{depth}-{k}"][0] for depth in ("pale", "strong") for k in range(4)]
    for side in ("better", "worse")
}
REGRET = [*reversed(_CELLS["better"]), PAIRS["level"][0], *_CELLS["worse"]]
"""Cells from better over level to worse."""

_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")


def strange(text: str) -> set[str]:
    """Return the colours of an SVG file, style or page that are none of these."""
    return {found for found in _HEX.findall(text) if found.lower() not in NAMES}


def themed(text: str) -> str:
    """Return an SVG text whose colours are those of the page around it, light or dark.

    Example:
        >>> themed("fill: #1f2933")
        'fill: var(--ink)'
    """
    return _HEX.sub(lambda found: f"var(--{NAMES[found[0].lower()]})", text)


def dark(text: str) -> str:
    """Return an SVG text for dark ground.

    Example:
        >>> dark("fill: #1f2933")
        'fill: #eceff3'
    """
    return _HEX.sub(lambda found: PAIRS[NAMES[found[0].lower()]][1], text)


def css() -> str:
    """Return the variables of a page: light, and dark on a screen whose reader wants that."""
    light, night = (
        " ".join(f"--{name}: {pair[theme]};" for name, pair in PAIRS.items()) for theme in (0, 1)
    )
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root {{ color-scheme: dark; {night} }} }}"
    )
