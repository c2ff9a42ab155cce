"""The networks: no normalisation, no dropout, random weights from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.lab.problems.data import CLASSES, SIDE, gaussian, not_installed


class BalancedNet(nn.Module):
    """Weight matrices without biases, leaky ReLU between them, balanced, float64.

    Balanced means W_{l+1}^T W_{l+1} = W_l W_l^T, which the statements on deep linear and leaky-ReLU
    networks suppose. Here every W_l starts with all its min(widths) singular values at `scale`, and
    the left singular vectors of one layer are the right ones of the next.

    `widths` are inputs, hidden widths, outputs; with a `slope` of 1 the network is linear.
    """

    def __init__(self, widths: Sequence[int], *, slope: float, scale: float, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        bases = [orthonormal(width, min(widths), draw) for width in widths]
        self.slope = slope
        self.layers = nn.ParameterList(
            nn.Parameter(scale * after @ before.T) for before, after in pairwise(bases)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (examples, outputs)."""
        *hidden, last = self.layers
        for weight in hidden:
            x = F.leaky_relu(x @ weight.T, self.slope)
        return x @ last.T


class TwoLayerNet(nn.Module):
    """Affine, tanh, affine, float64: smooth, so that the Hessian is there everywhere.

    Weights are Gaussian with variance scale^2 / inputs of their layer, biases zero.
    """

    def __init__(self, widths: tuple[int, int, int], *, scale: float, seed: int) -> None:
        super().__init__()
        inputs, hidden, outputs = widths
        with torch.random.fork_rng(devices=[]):  # torch draws weights that are replaced below
            self.first = nn.Linear(inputs, hidden, dtype=torch.float64)
            self.second = nn.Linear(hidden, outputs, dtype=torch.float64)
        _draw_weights(self, scale=scale, seed=seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (examples, outputs)."""
        return self.second(torch.tanh(self.first(x)))


class AttentionHead(nn.Module):
    """Causal attention of one head, one key-query matrix; values turn its mean into logits."""

    def __init__(self, width: int, outputs: int, draw: torch.Generator) -> None:
        super().__init__()
        self.key_query = nn.Parameter(gaussian(draw, width, width))
        self.values = nn.Parameter(gaussian(draw, outputs, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits at every place, shape (windows, length, outputs)."""
        scores = x @ self.key_query.T @ x.transpose(1, 2)
        later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -torch.inf).softmax(2)
        return weights @ x @ self.values.T


class OneLayerTransformer(nn.Module):
    """Byte and position embeddings, causal self-attention, a perceptron, a linear head.

    Both blocks add to the stream, as usual; there is no layer norm.
    """

    def __init__(self, vocabulary: int, length: int, *, width: int, heads: int, seed: int) -> None:
        super().__init__()
        self.heads = heads
        with torch.random.fork_rng(devices=[]):
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Embedding(length, width)
            self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
            self.attended = nn.Linear(width, width, bias=False)
            self.wide = nn.Linear(width, 4 * width)
            self.narrow = nn.Linear(4 * width, width)
            self.head = nn.Linear(width, vocabulary, bias=False)
        _draw_weights(self, scale=1.0, seed=seed)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the next byte, shape (windows, length, vocabulary)."""
        windows, length = tokens.shape
        x = self.tokens(tokens) + self.positions.weight[:length]
        parts = self.queries_keys_values(x).reshape(windows, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attended(seen.transpose(1, 2).flatten(2))
        x = x + self.narrow(F.gelu(self.wide(x)))
        return self.head(x)


def vision_transformer(*, width: int, layers: int, heads: int, seed: int) -> Any:
    """Return a `ViTForImageClassification` with random weights for images of 8 x 8 pixels.

    float32, patches of 2 x 2 pixels, no dropout, weights with standard deviation 0.1 (with the
    usual 0.02, gradient descent stands still for hundreds of steps first).
    """
    try:
        from transformers import ViTConfig, ViTForImageClassification
    except ImportError as error:
        raise not_installed("the vision transformer comes from transformers") from error
    sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width}
    sizes |= {"num_hidden_layers": layers, "num_attention_heads": heads, "num_labels": CLASSES}
    config = ViTConfig(
        image_size=SIDE, patch_size=2, num_channels=1, initializer_range=0.1, **sizes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ViTForImageClassification(config)


def _draw_weights(model: nn.Module, *, scale: float, seed: int) -> None:
    """Give matrices variance scale^2 / inputs (embeddings: 1), biases 0, all from one seed."""
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=1.0, generator=draw)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=scale / module.in_features**0.5, generator=draw)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def orthonormal(rows: int, columns: int, draw: torch.Generator) -> Tensor:
    """Return random orthonormal columns, float64."""
    return torch.linalg.qr(gaussian(draw, rows, columns))[0]
