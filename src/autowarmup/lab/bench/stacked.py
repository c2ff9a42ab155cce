"""Many small models at once: every parameter carries a leading dimension, one slice per replica.

A model this small spends most of its time between operations, not in them. Replicas that differ in
the rate alone can share each operation: a matrix product becomes a batch of products. The
mathematics of a replica is that of the single model (tests compare with `LlamaForCausalLM`).

Shapes: R replicas, B sequences, T tokens, H heads, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Parameters = dict[str, Tensor]


def stack_parameters(models: list[torch.nn.Module]) -> Parameters:
    """Return the parameters of equal models, each with a leading replica dimension."""
    named = [dict(model.named_parameters()) for model in models]
    return {
        name: torch.stack([each[name].detach() for each in named]).contiguous() for name in named[0]
    }


def embedded(table: Tensor, tokens: Tensor) -> Tensor:
    """Look tokens (R, ...) up in the tables of their replicas, (R, V, D); gives (R, tokens, D)."""
    index = tokens.reshape(len(table), -1)
    first = table.shape[1] * torch.arange(len(table), device=table.device)
    index = index + first.unsqueeze(1)
    return F.embedding(index, table.flatten(0, 1))


def cross_entropies(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of each replica in nats, (R,).

    Args:
        logits: (R, examples, classes).
        targets: class numbers, (R, ...), as many.
    """
    flat = F.cross_entropy(logits.flatten(0, 1), targets.reshape(-1), reduction="none")
    return flat.view(len(logits), -1).mean(1)


class StackedLlama:
    """The forward pass of R models with the shapes of one `LlamaForCausalLM`, embeddings tied."""

    def __init__(self, model: Any) -> None:
        config = model.config
        self.heads, self.layers = config.num_attention_heads, config.num_hidden_layers
        self.eps = config.rms_norm_eps
        half = config.hidden_size // self.heads
        theta = float(config.rope_parameters["rope_theta"])
        frequency = theta ** (-torch.arange(0, half, 2).float() / half)
        angle = torch.outer(torch.arange(config.max_position_embeddings).float(), frequency)
        angle = torch.cat([angle, angle], -1)
        self.cos, self.sin = angle.cos(), angle.sin()

    def losses(self, p: Mapping[str, Tensor], windows: Tensor) -> Tensor:
        """Return the mean cross-entropy of each replica in nats per token, shape (R,).

        Args:
            p: parameters by the names of `LlamaForCausalLM`, each (R, ...).
            windows: token numbers, shape (R, B, T + 1).
        """
        inputs, targets = windows[..., :-1], windows[..., 1:]
        replicas, batch, length = inputs.shape
        table = p["model.embed_tokens.weight"]
        x = embedded(table, inputs)  # (R, B T, D)
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            h = self._norm(x, p[prefix + "input_layernorm.weight"])
            x = x + self._attention(h, p, prefix + "self_attn.", (replicas, batch, length))
            h = self._norm(x, p[prefix + "post_attention_layernorm.weight"])
            gate = F.silu(h @ p[prefix + "mlp.gate_proj.weight"].mT)
            up = h @ p[prefix + "mlp.up_proj.weight"].mT
            x = x + (gate * up) @ p[prefix + "mlp.down_proj.weight"].mT
        logits = self._norm(x, p["model.norm.weight"]) @ table.mT
        return cross_entropies(logits, targets)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), eps=self.eps) * weight.unsqueeze(1)

    def _attention(
        self, x: Tensor, p: Mapping[str, Tensor], prefix: str, shape: tuple[int, int, int]
    ) -> Tensor:
        replicas, batch, length = shape

        def heads(name: str) -> Tensor:
            y = x @ p[f"{prefix}{name}_proj.weight"].mT
            return y.view(replicas * batch, length, self.heads, -1).transpose(1, 2)

        self.cos, self.sin = self.cos.to(x.device), self.sin.to(x.device)
        cos, sin = self.cos[:length], self.sin[:length]
        q, k = _rotated(heads("q"), cos, sin), _rotated(heads("k"), cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, heads("v"), is_causal=True)
        return mixed.transpose(1, 2).reshape(x.shape) @ p[prefix + "o_proj.weight"].mT


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin
