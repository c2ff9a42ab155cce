"""Tokens of a source in memory-mapped files, made once: written aside and renamed.

They lie in `AUTOWARMUP_CACHE`, else in the user's cache directory.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autowarmup.lab.train.sources import Source
from autowarmup.lab.train.tokens import Tokens

VALIDATION_SHARE = 0.06
# Validation of a streamed corpus ends here: more would never be looked at.
_STREAM_VALIDATION = 2**20
_SIDES = ("train", "validation")
ENCODED_AT_ONCE = 256
"""Documents that the tokenizer gets at a time."""

Tell = Callable[[int], None]  # told the training tokens so far
Sides = tuple[np.ndarray, np.ndarray, int]  # training tokens, validation tokens, vocabulary


def is_validation(name: str) -> bool:
    """Whether a document belongs to validation: a fixed share of all names, by their hash.

    Example:
        >>> is_validation("argparse.py"), is_validation("ast.py")
        (False, False)
    """
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64


def tokens_of(
    source: Source,
    tokenizer: str,
    build: Callable[[], Tokens],
    *,
    limit: int | None,
    tell: Tell | None,
) -> Sides:
    """Return the tokens of a source, from the cache or made with what `build` returns."""
    directory = _root() / _key(source, tokenizer, limit)
    held = _open(directory)
    if held is None:
        tokens = build()
        _make(directory, _encoded(source, tokens, limit, tell), tokens.size)
        held = _open(directory)
        assert held is not None, "a corpus that was just made can be opened"
    return held


def _root() -> Path:
    if chosen := os.environ.get("AUTOWARMUP_CACHE"):
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (base / "autowarmup").mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home
        return (
            Path(tempfile.gettempdir())
            / f"autowarmup-cache-{getattr(os, 'getuid', getpass.getuser)()}"
        )
    return base / "autowarmup"


def _key(source: Source, tokenizer: str, limit: int | None) -> str:
    parts: list[Any] = ["2", source.fingerprint(), tokenizer, limit]
    if Path(tokenizer).is_file():
        parts.append(hashlib.sha256(Path(tokenizer).read_bytes()).hexdigest())
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{Path(source.name).stem or 'root'}-{digest[:16]}"


def _open(directory: Path) -> Sides | None:
    """Map tokens made before; `None` where there are none or they are damaged."""
    try:
        vocabulary = json.loads((directory / "corpus.json").read_text(encoding="utf-8"))[
            "vocabulary"
        ]
        train, validation = (np.load(directory / f"{s}.npy", mmap_mode="r") for s in _SIDES)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None
    return train, validation, vocabulary


def _make(directory: Path, sides: dict[str, np.ndarray], vocabulary: int) -> None:
    """Write tokens into `directory` at once or not at all."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{directory.name}.tmp-", dir=directory.parent))
    try:
        for side, tokens in sides.items():
            np.save(aside / f"{side}.npy", tokens)
        (aside / "corpus.json").write_text(json.dumps({"vocabulary": vocabulary}), encoding="utf-8")
        if directory.exists() and _open(directory) is None:
            shutil.rmtree(directory)
        # Another process may have made the same corpus meanwhile; then theirs stays.
        with contextlib.suppress(OSError):
            aside.rename(directory)
    except OSError as error:
        raise ValueError(f"data: could not write tokens to {aside}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _encoded(
    source: Source, tokens: Tokens, limit: int | None, tell: Tell | None
) -> dict[str, np.ndarray]:
    """Return the tokens of both sides; of a streamed source as many as the limit asks for."""
    empty = np.empty(0, tokens.dtype)
    parts: dict[str, list[np.ndarray]] = {side: [empty] for side in _SIDES}
    counts = {"train": 0, "validation": 0}
    documents = source.documents()
    while some := list(itertools.islice(documents, ENCODED_AT_ONCE)):
        encoded = tokens.encode([text for _, text in some])
        for (name, _), numbers in zip(some, encoded, strict=True):
            side = "validation" if is_validation(name) else "train"
            if side == "train" or limit is None or counts[side] <= _STREAM_VALIDATION:
                parts[side].append(numbers)
                counts[side] += len(numbers)
        if tell is not None:
            tell(counts["train"])
        if limit is not None and counts["train"] >= limit:
            break
    return {side: np.concatenate(parts[side]) for side in _SIDES}
