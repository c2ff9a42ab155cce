"""Text to token numbers: raw bytes, a `tokenizers` file or Hub name, or a BPE of the corpus.

Every kind is a `Tokens`: `encode` many documents at once, each closed by an end-of-document token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

END = "<|endoftext|>"
_ENDS = (END, "</s>", "<eos>", "<|end_of_text|>")


class Tokens(Protocol):
    """A tokenizer: its number of different tokens, the narrowest dtype for them, and `encode`."""

    size: int
    dtype: np.dtype[Any]

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return one array of token numbers per document, its end marked."""
        ...


class ByteTokens:
    """The bytes of UTF-8: 256 tokens, nothing to learn or download; a zero byte ends a document.

    Example:
        >>> ByteTokens().encode(["hi"])[0].tolist()
        [104, 105, 0]
    """

    size = 256
    dtype = np.dtype(np.uint8)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the bytes of each document, closed by a zero."""
        return [np.frombuffer(text.encode("utf-8", "replace") + b"\0", np.uint8) for text in texts]


class LearnedTokens:
    """A tokenizer of the `tokenizers` library."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size = int(tokenizer.get_vocab_size(with_added_tokens=True))
        self.dtype = np.dtype(np.uint16 if self.size <= 2**16 else np.uint32)
        known = (tokenizer.token_to_id(name) for name in _ENDS)
        self.closing = [number for number in known if number is not None][:1]

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the token numbers of each document, closed by its end token where one exists."""
        encoded = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [np.asarray(one.ids + self.closing, self.dtype) for one in encoded]


def trained_size(name: str) -> int | None:
    """Return SIZE of "bpe:SIZE", or `None` for any other tokenizer name.

    Raises:
        ValueError: SIZE is not a number that a byte-level BPE can have.

    Example:
        >>> trained_size("bpe:4096"), trained_size("gpt2")
        (4096, None)
    """
    kind, _, size = name.partition(":")
    if kind != "bpe":
        return None
    if not size.isdecimal() or int(size) < 257:
        raise ValueError(
            "tokenizer: expected bpe:SIZE with SIZE of at least 257 (256 bytes and the end of a "
            f"document), got {name!r}"
        )
    return int(size)


def train_bpe(texts: Iterable[str], size: int) -> LearnedTokens:
    """Train a byte-level BPE of `size` tokens on documents (deterministic)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[END], show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(texts, trainer)
    return LearnedTokens(tokenizer)


def load_tokens(name: str) -> Tokens:
    """Return "bytes", a tokenizers JSON file, or a tokenizer of the Hugging Face Hub."""
    if name == "bytes":
        return ByteTokens()
    from tokenizers import Tokenizer

    is_file = name.endswith(".json") or Path(name).is_file()
    try:
        return LearnedTokens((Tokenizer.from_file if is_file else Tokenizer.from_pretrained)(name))
    except Exception as error:  # the library raises bare Exception for every kind of failure
        raise ValueError(
            f'tokenizer: expected "bytes", "bpe:SIZE", a tokenizers JSON file or a reachable Hub '
            f"name, got {name!r} ({error})"
        ) from error
