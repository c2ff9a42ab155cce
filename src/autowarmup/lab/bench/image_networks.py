"""Networks for pictures, for many replicas at once: a perceptron, a small ResNet, a small ViT.

Each builds the single model from a seed and computes the logits of R models whose parameters are
stacked, (R, ...). Tests compare a slice with the single model, run by the modules of torch.

Shapes: R replicas, B pictures, C channels or classes, T patches, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Stacked = Mapping[str, Tensor]


class Perceptron:
    """Layers "first", "second", "head" with ReLU between them.

    Args:
        shapes: of the weights, (outputs, inputs).
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self.shapes = shapes

    def model(self) -> nn.ModuleDict:
        """Return the layers with random weights."""
        layers = [nn.Linear(n, m) for m, n in self.shapes]
        return nn.ModuleDict(dict(zip(("first", "second", "head"), layers, strict=True)))

    def logits(self, p: Stacked, x: Tensor) -> Tensor:
        """Return (R, B, C) for pixels (R, B, pixels)."""
        x = _linear(p, "first", x).relu()
        x = _linear(p, "second", x).relu()
        return _linear(p, "head", x)


class ResNet:
    """A convolution of stride 2, three residual blocks of 8, 16, 32 channels, and a mean.

    The blocks normalise first, in groups of 8 channels; the last two halve the sides. A convolution
    of R models is one in R groups of channels.
    """

    CHANNELS = (8, 16, 32)
    GROUP = 8

    def __init__(self, side: int, classes: int) -> None:
        self.side, self.classes = side, classes

    def model(self) -> nn.ModuleDict:
        """Return the layers with random weights."""
        before = self.CHANNELS[0]
        layers: dict[str, nn.Module] = {"stem": _convolution(1, before, stride=2)}
        for number, width in enumerate(self.CHANNELS):
            stride = 1 if width == before else 2
            block: dict[str, nn.Module] = {
                "norm1": self._norm(before),
                "conv1": _convolution(before, width, stride=stride),
                "norm2": self._norm(width),
                "conv2": _convolution(width, width),
            }
            if stride > 1:
                block["skip"] = nn.Conv2d(before, width, 1, stride, bias=False)
            layers[f"block{number}"], before = nn.ModuleDict(block), width
        return nn.ModuleDict(
            {**layers, "norm": self._norm(before), "head": nn.Linear(before, self.classes)}
        )

    def _norm(self, channels: int) -> nn.GroupNorm:
        return nn.GroupNorm(channels // self.GROUP, channels)

    def logits(self, p: Stacked, x: Tensor) -> Tensor:
        """Return (R, B, C) for pixels (R, B, side * side)."""
        replicas, batch = x.shape[:2]
        x = x.transpose(0, 1).reshape(batch, replicas, self.side, self.side)
        x = _convolved(p, "stem", x, stride=2)
        for number in range(len(self.CHANNELS)):
            name = f"block{number}."
            strided = 2 if name + "skip.weight" in p else 1
            h = self._normed(p, name + "norm1", x).relu()
            h = _convolved(p, name + "conv1", h, stride=strided)
            h = self._normed(p, name + "norm2", h).relu()
            h = _convolved(p, name + "conv2", h)
            x = h + (x if strided == 1 else _convolved(p, name + "skip", x, stride=2))
        x = self._normed(p, "norm", x).relu().mean((2, 3))
        return _linear(p, "head", x.view(batch, replicas, -1).transpose(0, 1))

    def _normed(self, p: Stacked, name: str, x: Tensor) -> Tensor:
        weight, bias = p[name + ".weight"].flatten(), p[name + ".bias"].flatten()
        return F.group_norm(x, x.shape[1] // self.GROUP, weight, bias)


class ViT:
    """Patches of 4 x 4 pixels, places that are learned, two blocks of width 32, and a mean.

    The blocks normalise first, as GPT-2 does.
    """

    PATCH, WIDTH, HEADS, HIDDEN, BLOCKS = 4, 32, 4, 96, 2

    def __init__(self, side: int, classes: int) -> None:
        self.side, self.classes = side, classes

    def model(self) -> nn.ModuleDict:
        """Return the layers with random weights."""
        width = self.WIDTH
        layers: dict[str, nn.Module] = {
            "patch_embed": nn.Linear(self.PATCH**2, width),
            # As large as patches are (deviation 1). With 0.02, as in large models, it takes some
            # hundred updates until the network begins to tell places apart.
            "place_embed": nn.Embedding((self.side // self.PATCH) ** 2, width),
        }
        for number in range(self.BLOCKS):
            block: dict[str, nn.Module] = {"norm1": nn.LayerNorm(width)}
            block |= {name: nn.Linear(width, width) for name in ("q", "k", "v", "o")}
            block |= {"norm2": nn.LayerNorm(width), "up": nn.Linear(width, self.HIDDEN)}
            layers[f"block{number}"] = nn.ModuleDict(
                {**block, "down": nn.Linear(self.HIDDEN, width)}
            )
        return nn.ModuleDict(
            {**layers, "norm": nn.LayerNorm(width), "head": nn.Linear(width, self.classes)}
        )

    def logits(self, p: Stacked, x: Tensor) -> Tensor:
        """Return (R, B, C) for pixels (R, B, side * side)."""
        shape = x.shape[:2]
        x = _linear(p, "patch_embed", patches(x, self.side, self.PATCH).flatten(1, 2))
        places = p["place_embed.weight"].unsqueeze(1)  # (R, 1, T, D)
        x = (x.unflatten(1, (shape[1], -1)) + places).flatten(1, 2)  # (R, B T, D)
        for number in range(self.BLOCKS):
            name = f"block{number}."
            x = x + self._attention(p, name, _layer_norm(p, name + "norm1", x), shape)
            h = F.gelu(_linear(p, name + "up", _layer_norm(p, name + "norm2", x)))
            x = x + _linear(p, name + "down", h)
        x = _layer_norm(p, "norm", x).unflatten(1, (shape[1], -1)).mean(2)
        return _linear(p, "head", x)

    def _attention(self, p: Stacked, name: str, x: Tensor, shape: torch.Size) -> Tensor:
        def heads(which: str) -> Tensor:
            y = _linear(p, name + which, x)
            return y.view(shape.numel(), -1, self.HEADS, self.WIDTH // self.HEADS).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(heads("q"), heads("k"), heads("v"))
        return _linear(p, name + "o", mixed.transpose(1, 2).reshape(x.shape))


Network = Perceptron | ResNet | ViT


def patches(x: Tensor, side: int, patch: int) -> Tensor:
    """Cut pictures (..., side * side) into patches, (..., patches, patch * patch)."""
    count = side // patch
    x = x.unflatten(-1, (count, patch, count, patch)).transpose(-3, -2)
    return x.flatten(-2).flatten(-3, -2)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _convolved(p: Stacked, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolve (B, R C, H, W) with kernels (R, outputs, C, k, k): each replica with its own."""
    kernel = p[name + ".weight"]
    return F.conv2d(
        x, kernel.flatten(0, 1), stride=stride, padding=kernel.shape[-1] // 2, groups=len(kernel)
    )


def _linear(p: Stacked, name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(p[name + ".bias"].unsqueeze(1), x, p[name + ".weight"].mT)


def _layer_norm(p: Stacked, name: str, x: Tensor) -> Tensor:
    normed = F.layer_norm(x, x.shape[-1:])
    return torch.addcmul(p[name + ".bias"].unsqueeze(1), normed, p[name + ".weight"].unsqueeze(1))
