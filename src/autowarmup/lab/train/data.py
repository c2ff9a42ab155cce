"""Corpus to batches: tokens in memory-mapped files, batches a pure function of (seed, step).

Documents are split into training and validation by a hash of their names, so a document never
lies on both sides, whatever the order. Tokens are made once and kept in a cache directory
(`AUTOWARMUP_CACHE`, else the user's cache), written aside and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autowarmup.lab.train.sources import TOKENS, Document, Source, find_source
from autowarmup.lab.train.tokens import Tokens, load_tokens, train_bpe, trained_size

VALIDATION_SHARE = 0.06
# Validation of a streamed corpus ends here: more would never be looked at.
_STREAM_VALIDATION = 2**20
_BPE_DOCUMENTS = 20_000

Tell = Callable[[int], None]  # told the training tokens so far


@dataclass(frozen=True)
class Corpus:
    """Token numbers of both sides, each one flat (memory-mapped) array.

    Attributes:
        train: training tokens, shape (tokens,).
        validation: validation tokens, shape (tokens,).
        vocabulary: number of different tokens.
    """

    train: np.ndarray
    validation: np.ndarray
    vocabulary: int

    def facts(self) -> dict[str, int]:
        """Return what a resumed run checks: it must find the corpus that it began with."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "vocabulary": self.vocabulary,
        }

    def batch(self, *, seed: int, step: int, batch_size: int, length: int) -> np.ndarray:
        """Return the windows of one update, a pure function of `seed` and `step`.

        Windows start anywhere in the training tokens, drawn evenly with replacement; resuming
        therefore needs nothing but the step.

        Returns:
            int64 array of shape (batch_size, length + 1).
        """
        draw = np.random.default_rng((seed, step))
        starts = draw.integers(0, len(self.train) - length, size=batch_size)
        return _windows(self.train, starts, length)

    def fixed_windows(self, *, count: int, length: int) -> np.ndarray:
        """Return `count` evenly spaced validation windows, the same for every run.

        Returns:
            int64 array of shape (count, length + 1).
        """
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
        tokenizer: as `TrainConfig.tokenizer`; ignored for files that hold tokens already.
        length: tokens a window predicts; both sides must hold at least one window.
        wanted: training tokens of the run; a streamed corpus ends there.
        tell: called now and then with the number of tokens made so far.

    Raises:
        ValueError: nothing there, an unreadable file, or fewer tokens than one window a side.
    """
    if Path(data).suffix in TOKENS and Path(data).is_file():
        corpus = _split_tokens(_map_tokens(Path(data)))
    else:
        source = find_source(data)
        limit = wanted if source.streamed else None
        directory = _cache_root() / _key(source, tokenizer, limit)
        corpus = _open(directory)
        if corpus is None:
            _make(directory, source, tokenizer, limit, tell)
            corpus = _open(directory)
            assert corpus is not None, "a corpus that was just made can be opened"
    if len(corpus.validation) <= length:  # too few documents for a split by name
        corpus = _split_tokens(np.concatenate([corpus.train, corpus.validation]), corpus.vocabulary)
    for side, tokens in (("training", corpus.train), ("validation", corpus.validation)):
        if len(tokens) <= length:
            raise ValueError(
                f"data: expected more than {length} tokens (one window) for {side}, "
                f"got {len(tokens)} from {data!r}"
            )
    return corpus


def _map_tokens(path: Path) -> np.ndarray:
    """Map a token file: .npy as it is, .bin as uint16 (NAME.uint8.bin, NAME.uint32.bin else)."""
    if path.suffix == ".npy":
        tokens = np.load(path, mmap_mode="r")
    else:
        kinds = {".uint8": np.uint8, ".uint16": np.uint16, ".uint32": np.uint32}
        kind = np.dtype(kinds.get(Path(path.stem).suffix, np.uint16))
        count = path.stat().st_size // kind.itemsize
        tokens = np.memmap(path, kind, "r", shape=(count,)) if count else np.empty(0, kind)
    if tokens.ndim != 1 or tokens.dtype.kind not in "ui":
        raise ValueError(
            f"data: expected a flat array of token numbers in {path}, "
            f"got shape {tokens.shape} of {tokens.dtype}"
        )
    return tokens


def _split_tokens(tokens: np.ndarray, vocabulary: int | None = None) -> Corpus:
    """Split by position: the end is validation."""
    cut = len(tokens) - round(len(tokens) * VALIDATION_SHARE)
    if vocabulary is None:
        vocabulary = int(tokens.max()) + 1 if len(tokens) else 0
    return Corpus(tokens[:cut], tokens[cut:], vocabulary)


def is_validation(name: str) -> bool:
    """Whether a document belongs to validation: a fixed share of all names, by their hash.

    Example:
        >>> is_validation("argparse.py"), is_validation("ast.py")
        (False, False)
    """
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64


def _cache_root() -> Path:
    chosen = os.environ.get("AUTOWARMUP_CACHE")
    if chosen:
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (base / "autowarmup").mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home
        return Path(tempfile.gettempdir()) / f"autowarmup-cache-{os.getuid()}"
    return base / "autowarmup"


def _key(source: Source, tokenizer: str, limit: int | None) -> str:
    parts: list[Any] = ["1", source.fingerprint(), tokenizer, limit]
    if Path(tokenizer).is_file():
        parts.append(hashlib.sha256(Path(tokenizer).read_bytes()).hexdigest())
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{Path(source.name).stem or 'root'}-{digest[:16]}"


def _open(directory: Path) -> Corpus | None:
    """Map a corpus made before; `None` where there is none or it is damaged."""
    try:
        facts = json.loads((directory / "corpus.json").read_text())
        sides = []
        for side in ("train", "validation"):
            kind, path = np.dtype(facts["dtype"]), directory / f"{side}.bin"
            count = facts[side]
            if path.stat().st_size != count * kind.itemsize:
                return None
            mapped = np.memmap(path, kind, "r", shape=(count,)) if count else np.empty(0, kind)
            sides.append(mapped)
        return Corpus(sides[0], sides[1], int(facts["vocabulary"]))
    except (OSError, ValueError, KeyError):
        return None


def _make(
    directory: Path, source: Source, tokenizer: str, limit: int | None, tell: Tell | None
) -> None:
    """Write the tokens of a source into `directory` at once or not at all."""
    tokens = _tokens_for(source, tokenizer)
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{directory.name}.tmp-", dir=directory.parent))
    try:
        counts = _write(aside, source.documents(), tokens, limit, tell)
        facts = {"dtype": tokens.dtype.name, "vocabulary": tokens.size, **counts}
        (aside / "corpus.json").write_text(json.dumps(facts))
        if directory.exists() and _open(directory) is None:
            shutil.rmtree(directory)
        # Another process may have made the same corpus meanwhile; then theirs stays.
        with contextlib.suppress(OSError):
            aside.rename(directory)
    except OSError as error:
        raise ValueError(f"data: could not write tokens to {aside}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _tokens_for(source: Source, tokenizer: str) -> Tokens:
    size = trained_size(tokenizer)
    if size is None:
        return load_tokens(tokenizer)
    texts = (text for name, text in source.documents() if not is_validation(name))
    return train_bpe(itertools.islice(texts, _BPE_DOCUMENTS), size)


def _write(
    directory: Path,
    documents: Iterable[Document],
    tokens: Tokens,
    limit: int | None,
    tell: Tell | None,
) -> dict[str, int]:
    """Encode documents in lots and append each to its side; return the tokens on each side."""
    counts = {"train": 0, "validation": 0}
    with (
        (directory / "train.bin").open("wb") as train,
        (directory / "validation.bin").open("wb") as validation,
    ):
        files = {"train": train, "validation": validation}
        for lot in _lots(documents, 256):
            encoded = tokens.encode([text for _, text in lot])
            for (name, _), numbers in zip(lot, encoded, strict=True):
                side = "validation" if is_validation(name) else "train"
                if side == "validation" and limit and counts[side] > _STREAM_VALIDATION:
                    continue
                files[side].write(numbers.tobytes())
                counts[side] += len(numbers)
            if tell is not None:
                tell(counts["train"])
            if limit is not None and counts["train"] >= limit:
                break
    return counts


def _lots(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    stream = iter(documents)
    while lot := list(itertools.islice(stream, size)):
        yield lot
