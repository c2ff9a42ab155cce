"""Colours can be told apart by the eyes that people have, and what is written can be read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from autowarmup import picture
from autowarmup.lab.report import palette
from autowarmup.lab.report.palette import NAMES, PAIRS

ROOT = Path(__file__).parents[3]
THEMES = {"light": 0, "dark": 1}
EYES = {
    "usual": np.eye(3),
    # Machado, Oliveira and Fernandes 2009, severity 1.
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881]]),
}  # fmt: skip
TOGETHER = [
    *itertools.combinations(["default", "hand", "paper", "other", "worse", "ink"], 2),
    *itertools.product(["better"], ["worse", "default", "hand", "ink"]),
    *itertools.product(["theory"], ["hand", "ink", "worse", "time-0", "time-9", "time-19"]),
    ("worse", "time-9"),
]
"""Colours that tell things apart in one figure or table."""


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIELAB of linear sRGB under D65."""
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
    x = to_xyz @ rgb / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(first: str, second: str, eyes: str) -> float:
    seen = [lab(np.clip(EYES[eyes] @ linear(colour), 0, 1)) for colour in (first, second)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def contrast(first: str, second: str) -> float:
    """Return the contrast of WCAG 2."""
    low, high = sorted(
        float(np.array([0.2126, 0.7152, 0.0722]) @ linear(c)) for c in (first, second)
    )
    return (high + 0.05) / (low + 0.05)


def test_the_measures_are_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    # Red and green of one lightness: far apart to some, close to others.
    assert distance("#c05000", "#7d7d00", "usual") > 40
    assert distance("#c05000", "#7d7d00", "deuteranopia") < 10


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", EYES)
def test_what_stands_in_one_figure_can_be_told_apart(theme, eyes):
    held = {name: pair[THEMES[theme]] for name, pair in PAIRS.items()}
    close = {
        pair: found
        for pair in TOGETHER
        if (found := distance(held[pair[0]], held[pair[1]], eyes)) < 18
    }
    assert not close


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", EYES)
def test_better_and_worse_cells_can_be_told_apart_at_every_depth(theme, eyes):
    cells = [PAIRS[NAMES[cell]][THEMES[theme]] for cell in palette.REGRET]
    middle = len(cells) // 2
    pairs = [(cells[middle - k], cells[middle + k]) for k in range(1, middle + 1)]
    found = [distance(*pair, eyes) for pair in pairs]
    assert found[0] > 8
    assert min(found[1:]) > 15


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_written_can_be_read(theme):
    held = {name: pair[THEMES[theme]] for name, pair in PAIRS.items()}
    for name in ("ink", "muted", "default", "hand", "paper", "better", "worse", "theory"):
        assert contrast(held[name], held["ground"]) >= 4.5, name
    for name in ("ink", "muted", "better", "worse"):  # rows that are shaded
        for behind in ("main", "level", "grid", "band"):
            least = 4.5 if name in ("ink", "muted") or behind == "level" else 3
            assert contrast(held[name], held[behind]) >= least, (name, behind)
    for name in ("other", "time-9"):  # lines and marks, WCAG 1.4.11
        assert contrast(held[name], held["ground"]) >= 3, name
    for at, cell in enumerate(palette.REGRET):
        strong = abs(at - len(palette.REGRET) // 2) > len(palette.REGRET) // 4
        ink = held["ground" if strong else "ink"]
        assert contrast(held[NAMES[cell]], ink) >= 4.5, at


def test_a_colour_has_one_name_and_changes_with_the_theme():
    assert len(NAMES) == len(PAIRS)
    assert palette.themed(palette.HAND) == "var(--hand)"
    assert palette.dark(palette.HAND.upper()) == palette.MEANINGS["hand"][1]
    assert palette.strange("#1f2933 #1F2934") == {"#1F2934"}
    light, dark = re.findall(r":root \{(.*?)\}", palette.css())
    assert f"--ground: {palette.GROUND};" in light
    assert f"--ground: {palette.MEANINGS['ground'][1]};" in dark
    with pytest.raises(KeyError):
        palette.themed("#123456")


def test_no_colour_is_named_outside_the_palette():
    """Neither in what draws, nor in a page; the library, which cannot ask the lab, agrees."""
    named = {}
    for folder in ("src", "studies", "tools"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".html") or path.name == "palette.py":
                continue
            text = re.sub(
                r">>> .*|^ +['\"].*['\"]\)?$|^ +\(.*\)$", "", path.read_text(), flags=re.M
            )
            if found := set(re.findall(r"#[0-9a-fA-F]{6}\b", text)):
                named[path.relative_to(ROOT).as_posix()] = found
    meant = (palette.DEFAULT, palette.MUTED, palette.WORSE, palette.THEORY)
    assert named == {"src/autowarmup/picture.py": set(meant)}
    assert meant == (picture.RATE, picture.LOSS, picture.LOWERED, picture.LAW)


def test_documentation_and_tutorial_use_the_same_colours():
    known = {colour for pair in PAIRS.values() for colour in pair}
    paths = [
        *ROOT.glob("docs/**/*.svg"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "examples/tutorial.ipynb",
    ]
    for path in paths:
        assert set(re.findall(r"#[0-9a-f]{6}\b", path.read_text())) <= known, path.name


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*/figures/*.svg")), ids=lambda p: p.stem)
def test_committed_figures_keep_text_colours_and_their_finding(path):
    text = path.read_text()
    assert palette.strange(text) == set()
    assert text.count("<text") > 10
    assert "DejaVu" not in text
    title = re.search(r"<title>(.*?)</title>", text)
    assert title
    assert re.search(r"\d.*[.]$", title[1])  # a finding has numbers and is a sentence
