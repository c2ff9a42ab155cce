"""Batches, a pure function of (seed, step), from the tokens of a corpus.

Documents are split into training and validation by a hash of their names, so a document never lies
on both sides, whatever the order. Their tokens are made once, see `token_cache`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autowarmup.lab.train import token_cache
from autowarmup.lab.train.sources import TOKENS, Source, find_source
from autowarmup.lab.train.token_cache import VALIDATION_SHARE, Tell, is_validation
from autowarmup.lab.train.token_files import map_tokens
from autowarmup.lab.train.tokens import Tokens, load_tokens, train_bpe, trained_size

_BPE_DOCUMENTS = 20_000


@dataclass(frozen=True)
class Corpus:
    """Token numbers of both sides, each one flat (memory-mapped) array, and how many differ."""

    train: np.ndarray
    validation: np.ndarray
    vocabulary: int

    def facts(self) -> dict[str, int]:
        """Return what a resumed run checks: it must find the corpus that it began with."""
        sizes = {"train": len(self.train), "validation": len(self.validation)}
        return sizes | {"vocabulary": self.vocabulary}

    def batch(self, *, seed: int, step: int, batch_size: int, length: int) -> np.ndarray:
        """Return the windows of one update, int64 of shape (batch_size, length + 1).

        They start anywhere in the training tokens, drawn evenly with replacement by a generator of
        `seed` and `step`; resuming therefore needs nothing but the step.
        """
        draw = np.random.default_rng((seed, step))
        starts = draw.integers(0, len(self.train) - length, size=batch_size)
        return _windows(self.train, starts, length)

    def fixed_windows(self, *, count: int, length: int) -> np.ndarray:
        """Return evenly spaced validation windows, int64 of shape (count, length + 1)."""
        starts = np.linspace(0, len(self.validation) - length - 1, count).astype(np.int64)
        return _windows(self.validation, starts, length)


def _windows(tokens: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    return tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)


def load_corpus(
    data: str, tokenizer: str = "bytes", *, length: int, wanted: int, tell: Tell | None = None
) -> Corpus:
    """Return the corpus that a config names, from the cache where it has been made before.

    Args:
        data: as `TrainConfig.data`.
        tokenizer: as `TrainConfig.tokenizer`; of files that hold tokens already, a tokenizers file
            or bpe:SIZE says the vocabulary, and other names are ignored.
        length: tokens a window predicts; both sides must hold at least one window.
        wanted: training tokens of the run; a streamed corpus ends there.
        tell: called now and then with the number of tokens made so far.
    """
    if Path(data).suffix in TOKENS and Path(data).is_file():
        corpus = _split(*map_tokens(Path(data), _vocabulary(tokenizer)))
    else:
        source = find_source(data)
        limit = wanted if source.streamed else None
        corpus = Corpus(
            *token_cache.tokens_of(
                source, tokenizer, lambda: _tokenizer(source, tokenizer), limit=limit, tell=tell
            )
        )
    if len(corpus.validation) <= length:  # too few documents for a split by name
        corpus = _split(np.concatenate([corpus.train, corpus.validation]), corpus.vocabulary)
    for side, tokens in (("training", corpus.train), ("validation", corpus.validation)):
        if len(tokens) <= length:
            raise ValueError(
                f"data: expected more than {length} tokens (one window) for {side}, "
                f"got {len(tokens)} from {data!r}"
            )
    return corpus


def _split(tokens: np.ndarray, vocabulary: int) -> Corpus:
    """Split by position: the end is validation."""
    cut = len(tokens) - round(len(tokens) * VALIDATION_SHARE)
    return Corpus(tokens[:cut], tokens[cut:], vocabulary)


def _vocabulary(tokenizer: str) -> int | None:
    """Return the vocabulary of a tokenizer, where it costs nothing to know."""
    return load_tokens(tokenizer).size if Path(tokenizer).is_file() else trained_size(tokenizer)


def _tokenizer(source: Source, name: str) -> Tokens:
    """Return a tokenizer by its name, trained on the training side where the name asks for it."""
    size = trained_size(name)
    if size is None:
        return load_tokens(name)
    texts = (text for document, text in source.documents() if not is_validation(document))
    return train_bpe(itertools.islice(texts, _BPE_DOCUMENTS), size)
