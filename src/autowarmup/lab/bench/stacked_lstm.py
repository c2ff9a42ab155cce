"""A recurrent language model, for many replicas at once.

The cells are written out: one product per token and layer serves all replicas. The single model is
made of `torch.nn.LSTM`, with which tests compare.

Shapes: R replicas, B sequences, T tokens, H width of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from autowarmup.lab.bench.stacked import cross_entropies, embedded


class StackedLstm:
    """Embedding, LSTM layers, and a head of its own."""

    EMBEDDING, WIDTH, LAYERS = 32, 48, 2

    def model(self, vocabulary: int) -> nn.ModuleDict:
        """Return the layers of one model with random weights."""
        return nn.ModuleDict(
            {
                "embed": nn.Embedding(vocabulary, self.EMBEDDING),
                "lstm": nn.LSTM(self.EMBEDDING, self.WIDTH, self.LAYERS, batch_first=True),
                "head": nn.Linear(self.WIDTH, vocabulary),
            }
        )

    def losses(self, p: Mapping[str, Tensor], windows: Tensor) -> Tensor:
        """Return the mean cross-entropy of each replica in nats per token, shape (R,).

        Args:
            p: parameters by the names of `model`, each (R, ...).
            windows: token numbers, shape (R, B, T + 1).
        """
        # Time first: the tokens of one time are contiguous, (R, T, B, H).
        windows = windows.transpose(1, 2)
        inputs, targets = windows[:, :-1], windows[:, 1:]
        x = embedded(p["embed.weight"], inputs)  # (R, T B, H)
        for layer in range(self.LAYERS):
            x = self._layer(p, layer, x, inputs.shape)
        logits = torch.baddbmm(p["head.bias"].unsqueeze(1), x, p["head.weight"].mT)
        return cross_entropies(logits, targets)

    def _layer(self, p: Mapping[str, Tensor], layer: int, x: Tensor, shape: torch.Size) -> Tensor:
        """Return the outputs of a layer, (R, T B, H), for its inputs, (R, T B, inputs)."""
        replicas, length, batch = shape
        name = f"lstm.{{}}_l{layer}"
        bias = p[name.format("bias_ih")] + p[name.format("bias_hh")]
        # What the inputs give is one product over all times; the state adds its part at each.
        given = torch.baddbmm(bias.unsqueeze(1), x, p[name.format("weight_ih")].mT)
        recurrent = p[name.format("weight_hh")].mT
        h = c = x.new_zeros(replicas, batch, self.WIDTH)
        outputs = []
        for now in given.view(replicas, length, batch, -1).unbind(1):
            gates = torch.baddbmm(now, h, recurrent)
            i, f, g, o = gates.chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, 1).flatten(1, 2)
