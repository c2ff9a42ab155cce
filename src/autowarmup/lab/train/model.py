"""The model: LLaMA from `transformers`, randomly initialised from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from autowarmup.lab.train.recipes import Recipe


def padded(vocabulary: int) -> int:
    """Round a vocabulary up to a multiple of 64, which keeps matrix products fast.

    Example:
        >>> padded(256), padded(50257)
        (256, 50304)
    """
    return -(-vocabulary // 64) * 64


def build_model(size: Recipe, *, vocabulary: int, sequence_length: int, seed: int) -> Any:
    """Return a `LlamaForCausalLM` with random weights (a function of `seed` alone).

    The embedding and the output head share one matrix, as in the published models.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=padded(vocabulary),
            hidden_size=size.width,
            intermediate_size=size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=sequence_length,
            tie_word_embeddings=True,
            use_cache=False,
            # There are no special tokens here; the defaults would point at ordinary ones.
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def token_loss(model: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats per token.

    Args:
        model: a causal language model.
        windows: token numbers, shape (batch, sequence_length + 1): every token but the first is
            predicted from those before it.
    """
    logits = model(input_ids=windows[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


def weights_sha256(weights: torch.nn.Module | Mapping[str, torch.Tensor]) -> str:
    """Return a digest of all parameters, bit for bit, in the order of their names.

    Args:
        weights: a model, or its parameters by name.
    """
    if isinstance(weights, torch.nn.Module):
        weights = dict(weights.named_parameters())
    digest = hashlib.sha256()
    for name, parameter in sorted(weights.items()):
        digest.update(name.encode())
        flat = parameter.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
