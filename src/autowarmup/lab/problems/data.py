"""What the networks are trained on: handwritten digits, text, data with a linear teacher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES = 10
SIDE = 8


@dataclass(frozen=True)
class Examples:
    """Inputs and targets, one example a row."""

    x: Tensor  # inputs, shape (examples, ...)
    y: Tensor  # class numbers, shape (examples,), or targets, shape (examples, outputs)


def gaussian(draw: torch.Generator, *shape: int) -> Tensor:
    """Return standard normal numbers, float64."""
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def not_installed(words: str) -> ValueError:
    """Return the error of a missing package."""
    return ValueError(f"{words}, which is not installed; run: pip install 'autowarmup[objects]'")


def digits(count: int | None = None) -> Examples:
    """Return the 1,797 handwritten digits that come with scikit-learn, in a fixed random order.

    Each pixel has mean 0 over the whole set, and all pixels together variance 1; x is float64 of
    shape (count, 64), y class numbers 0 to 9.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise not_installed("the digits come with scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels).long()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))[:count]
    x = x - x.mean(0)
    return Examples((x / x.std())[order], y[order])


def principal_components(count: int, images: int) -> Examples:
    """Return digits as their first principal components, each of mean 0 and variance 1."""
    held = digits(images)
    x = held.x - held.x.mean(0)
    x = x @ torch.linalg.svd(x, full_matrices=False)[2][:count].T
    return Examples(x / x.square().mean(0).sqrt(), held.y)


def one_hot(examples: Examples) -> Examples:
    """Replace class numbers by their indicator vectors, as targets for a squared error."""
    encoded = torch.nn.functional.one_hot(examples.y, CLASSES)
    return Examples(examples.x, encoded.to(examples.x.dtype))


def linear_teacher(
    count: int, inputs: int, outputs: int, *, noise: float = 0.1, seed: int
) -> Examples:
    """Return Gaussian inputs and y = A x + noise, float64.

    The inputs have full rank (almost surely for count >= inputs): without it the statement about
    deep linear networks is false (zero gap with a Hessian as large as one likes).
    """
    draw = torch.Generator().manual_seed(seed)
    x, teacher = gaussian(draw, count, inputs), gaussian(draw, outputs, inputs) / inputs**0.5
    return Examples(x, x @ teacher.T + noise * gaussian(draw, count, outputs))


def text_windows(count: int, length: int) -> Tensor:
    """Return windows of bytes of the Python standard library's own text, always the same.

    int64 of shape (count, length + 1): each byte but the first is predicted from those before.
    """
    from autowarmup.lab.train.data import load_corpus

    corpus = load_corpus("stdlib", "bytes", length=length, wanted=count * length)
    return torch.from_numpy(corpus.batch(seed=0, step=0, batch_size=count, length=length))


def unit_vectors(windows: Tensor, width: int, draw: torch.Generator) -> Examples:
    """Return windows as random unit vectors that know their place, and the tokens that follow."""
    tokens, windows = windows.unique(return_inverse=True)
    x = gaussian(draw, len(tokens), width)[windows[:, :-1]]
    x = x + gaussian(draw, windows.shape[1] - 1, width) / 2
    return Examples(x / x.norm(dim=2, keepdim=True), windows[:, 1:].flatten())
