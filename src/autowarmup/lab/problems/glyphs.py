"""Pictures of characters, rendered as those of notMNIST were: many fonts, letters and digits.

62 classes (A-Z, a-z, 0-9) from the fonts that come with matplotlib, so that every machine has the
same ones. Each picture is a glyph that was turned, stretched, slanted and moved at random, blurred,
and strewn with noise; upper and lower case keep their sizes. Training and validation share the
fonts: what is held out is the distortions, drawn by other generators.
"""

from __future__ import annotations

import math
import string
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from autowarmup.lab.problems.data import Examples, not_installed

CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
SIDE = 16
"""Pixels along an edge of a picture."""
TRAINING, VALIDATION = 20_000, 4_000
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)
"""Of matplotlib: the others lack letters or draw symbols in their places."""

_CANVAS, _SIZE = 48, 32  # pixels of a glyph before it is distorted, and its font size
_PART = 2_000  # pictures that are distorted at a time: all at once would not fit into the cache


@lru_cache(maxsize=1)
def glyphs(folder: str | None = None) -> tuple[Examples, Examples]:
    """Return the pictures to train on and those to validate with, always the same.

    x is float32 of shape (pictures, 256), of mean 0 and variance 1 over all training pixels; y
    numbers `CHARACTERS`.

    Args:
        folder: where more fonts (.ttf) are looked for, at any depth; those that lack a character
            are left out. With it the pictures depend on the machine.
    """
    shapes = _shapes(_fonts(folder))
    train, held_out = _distorted(shapes, TRAINING, 0), _distorted(shapes, VALIDATION, 1)
    mean, scale = train.x.mean(), train.x.std()
    return (
        Examples((train.x - mean) / scale, train.y),
        Examples((held_out.x - mean) / scale, held_out.y),
    )


def _fonts(folder: str | None) -> list[str]:
    try:
        import matplotlib
        from matplotlib.ft2font import FT2Font
    except ImportError as error:
        raise not_installed("the fonts come with matplotlib") from error
    ours = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [str(ours / f"{name}.ttf") for name in FONTS]
    for path in sorted(Path(folder).rglob("*.ttf")) if folder else ():
        font = FT2Font(str(path))
        if all(font.get_char_index(ord(each)) for each in CHARACTERS):
            fonts.append(str(path))
    return fonts


def _shapes(fonts: list[str]) -> Tensor:
    """Draw every character in every font: ink from 0 to 1, (62, fonts, canvas, canvas)."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = np.zeros((len(CHARACTERS), len(fonts), _CANVAS, _CANVAS), np.uint8)
    for column, path in enumerate(fonts):
        font = ImageFont.truetype(path, _SIZE)
        for row, character in enumerate(CHARACTERS):
            image = Image.new("L", (_CANVAS, _CANVAS))
            # Middle and baseline at one place: a capital stays larger than its small letter.
            place = (_CANVAS / 2, _CANVAS * 0.72)
            ImageDraw.Draw(image).text(place, character, fill=255, font=font, anchor="ms")
            drawn[row, column] = np.asarray(image)
    return torch.from_numpy(drawn).float() / 255


def _distorted(shapes: Tensor, count: int, seed: int) -> Examples:
    """Draw characters and fonts evenly, and a distortion for each."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(len(shapes), (count,), generator=draw)
    font = torch.randint(shapes.shape[1], (count,), generator=draw)
    maps = _maps(count, draw)
    blur = torch.rand(count, 1, 1, 1, generator=draw)
    noise = 0.1 * torch.randn(count, 1, SIDE, SIDE, generator=draw)
    parts = []
    for part in torch.arange(count).split(_PART):
        ink = shapes[y[part], font[part]].unsqueeze(1)
        # Twice as fine as needed, then averaged: thin strokes would fall between the pixels.
        fine = (len(part), 1, 2 * SIDE, 2 * SIDE)
        places = F.affine_grid(maps[part], list(fine), align_corners=False)
        x = F.avg_pool2d(F.grid_sample(ink, places, align_corners=False), 2)
        x = torch.lerp(x, F.avg_pool2d(x, 3, stride=1, padding=1), blur[part])
        parts.append((x + noise[part]).flatten(1))
    # In 255 steps as a file of pictures would be: machines differ in the last bits only.
    return Examples((torch.cat(parts) * 255).round() / 255, y)


def _maps(count: int, draw: torch.Generator) -> Tensor:
    """Draw maps from places in the picture to places on the canvas, (count, 2, 3)."""

    def between(least: float, most: float) -> Tensor:
        return least + (most - least) * torch.rand(count, generator=draw)

    angle, slant = between(-math.pi / 9, math.pi / 9), between(-0.3, 0.3)
    wide, high = between(0.65, 1.0), between(0.65, 1.0)  # below 1 magnifies
    c, s = angle.cos(), angle.sin()
    linear = torch.stack([c * wide, (slant * c - s) * high, s * wide, (slant * s + c) * high], 1)
    shift = torch.stack([between(-0.15, 0.15), between(-0.15, 0.15)], 1)
    return torch.cat([linear.view(count, 2, 2), shift.unsqueeze(2)], 2)
