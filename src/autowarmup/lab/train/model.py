"""The model: LLaMA from `transformers`, randomly initialised from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from autowarmup.lab.train.recipes import Recipe


def build_model(size: Recipe, *, vocabulary: int, sequence_length: int, seed: int) -> Any:
    """Return a `LlamaForCausalLM` with random weights (a function of `seed` alone).

    The embedding and the output head share one matrix, as in the published models; the vocabulary
    is rounded up to a multiple of 64, which keeps matrix products fast.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-vocabulary // 64) * 64,
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
    """Return the mean cross-entropy in nats per token of windows (batch, sequence_length + 1).

    Every token but the first is predicted from those before it.
    """
    logits = model(input_ids=windows[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


def weights_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a digest of parameters by name, bit for bit, in the order of their names."""
    digest = hashlib.sha256()
    for name, parameter in sorted(weights.items()):
        digest.update(name.encode())
        flat = parameter.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
