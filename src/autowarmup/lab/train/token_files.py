"""Files that hold token numbers: .npy as it is, .bin as bare numbers of one width.

NAME.bin and NAME.uint16.bin hold uint16, NAME.uint8.bin and NAME.uint32.bin those. Files are mapped
into memory, never read as a whole, but looked through once for numbers that no tokenizer gives.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

MOST = 2**20
"""Larger than any vocabulary in use: numbers above it are something else, read wrongly."""

_WIDTHS = {".uint8": np.uint8, ".uint16": np.uint16, ".uint32": np.uint32}
# First bytes of files that hold more than bare numbers -> what they are and what helps.
_HEADERS = {
    np.int32(20240520).tobytes(): "that of llm.c, 1,024 bytes: `tail -c +1025` leaves it out",
    np.int32(20240801).tobytes(): "that of llm.c, 1,024 bytes: `tail -c +1025` leaves it out",
    b"\x93NUMPY": "a NumPy array: name it .npy",
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "a Parquet file",
}


def map_tokens(path: Path, vocabulary: int | None = None) -> tuple[np.ndarray, int]:
    """Return the token numbers in a file, flat, and how many different ones there may be.

    Args:
        path: .npy or .bin.
        vocabulary: of the tokenizer, where it is known; the largest number plus one otherwise.

    Raises:
        ValueError: the file cannot be read as that, or holds numbers that are no tokens.
    """
    try:
        tokens = _mapped_npy(path) if path.suffix == ".npy" else _mapped_bin(path)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"data: expected token numbers in {path}, got {reason}") from error
    if tokens.ndim != 1 or tokens.dtype.kind not in "ui":
        raise ValueError(
            f"data: expected a flat array of token numbers in {path}, "
            f"got shape {tokens.shape} of {tokens.dtype}"
        )
    if not len(tokens):
        return tokens, vocabulary or 0
    least, most = int(tokens.min()), int(tokens.max())
    below = MOST if vocabulary is None else vocabulary
    if least < 0 or most >= below:
        wrong = least if least < 0 else most
        at = int((tokens == wrong).argmax())
        raise ValueError(
            f"data: expected token numbers from 0 to {below - 1:,} in {path}, "
            f"got {wrong} at position {at:,}"
        )
    return tokens, most + 1 if vocabulary is None else vocabulary


def _mapped_npy(path: Path) -> np.ndarray:
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, TypeError, SyntaxError) as error:
        raise ValueError(
            f"data: expected a NumPy array of token numbers in {path}, got a file that is cut or "
            "of another kind"
        ) from error
    if not isinstance(tokens, np.ndarray):
        raise ValueError(f"data: expected one NumPy array in {path}, got an archive of several")
    return tokens


def _mapped_bin(path: Path) -> np.ndarray:
    kind = np.dtype(_WIDTHS.get(Path(path.stem).suffix, np.uint16))
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
    for magic, meaning in _HEADERS.items():
        if first.startswith(magic):
            raise ValueError(
                f"data: expected bare token numbers in {path}, got a file with a header ({meaning})"
            )
    if size % kind.itemsize:
        raise ValueError(
            f"data: expected numbers of {kind.itemsize} bytes ({kind}) in {path}, got a size of "
            f"{size:,} bytes, which is no multiple of it"
        )
    if not size:  # an empty file cannot be mapped
        return np.empty(0, kind)
    return np.memmap(path, kind, "r", shape=(size // kind.itemsize,))
