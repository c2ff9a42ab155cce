from __future__ import annotations

import string

import pytest
import torch

from autowarmup.lab.problems import glyphs as module
from autowarmup.lab.problems.glyphs import CHARACTERS, FONTS, SIDE, TRAINING, VALIDATION, glyphs


@pytest.fixture(scope="module")
def shapes():
    return module._shapes(module._fonts(None))


def test_every_font_draws_every_character(shapes):
    assert set(CHARACTERS) == set(string.ascii_letters + string.digits)
    assert len(CHARACTERS) == 62
    assert shapes.shape[:2] == (62, len(FONTS))
    ink = shapes.flatten(2)
    assert ink.sum(2).min() > 20
    # No two characters look alike, as those that a font lacks would.
    for font in range(len(FONTS)):
        assert torch.pdist(ink[:, font], p=1).min() > 5
    # And none is cut off at the edge of the canvas.
    edges = [shapes[..., 0, :], shapes[..., -1, :], shapes[..., 0], shapes[..., -1]]
    assert max(float(edge.max()) for edge in edges) == 0


def test_pictures_are_the_same_each_time_and_normalised():
    train, held_out = glyphs()
    assert train.x.shape == (TRAINING, SIDE**2)
    assert held_out.x.shape == (VALIDATION, SIDE**2)
    assert (train.x.dtype, train.y.dtype) == (torch.float32, torch.int64)
    assert float(train.x.mean()) == pytest.approx(0, abs=1e-3)
    assert float(train.x.std()) == pytest.approx(1, abs=1e-3)
    counts = torch.bincount(train.y, minlength=62)
    mean = TRAINING / 62
    assert (counts - mean).abs().max() < 5 * mean**0.5
    again = module._distorted(module._shapes(module._fonts(None)), 50, 0)
    other = module._distorted(module._shapes(module._fonts(None)), 50, 1)
    assert torch.equal(again.x, module._distorted(module._shapes(module._fonts(None)), 50, 0).x)
    assert not torch.equal(again.y, other.y)
    # Nothing to validate with is among what is trained on.
    assert torch.cdist(held_out.x[:100], train.x).min() > 1


def test_more_fonts_can_be_found_in_a_folder(tmp_path):
    import matplotlib

    ours = f"{matplotlib.get_data_path()}/fonts/ttf"
    for name in ("DejaVuSans", "DejaVuSansDisplay"):  # the second one lacks letters
        (tmp_path / f"{name}.ttf").symlink_to(f"{ours}/{name}.ttf")
    fonts = module._fonts(str(tmp_path))
    assert fonts[len(FONTS) :] == [str(tmp_path / "DejaVuSans.ttf")]
