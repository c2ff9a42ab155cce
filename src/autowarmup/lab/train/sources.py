"""Where documents come from: the standard library, local files, or FineWeb.

A source is a stream of `(name, text)` documents in a fixed order, plus a fingerprint that changes
when the files behind it do.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINEWEB = {"path": "HuggingFaceFW/fineweb", "name": "sample-10BT"}
READABLE = (".txt", ".text", ".md", ".rst", ".py", ".jsonl", ".parquet")
TOKENS = (".bin", ".npy")
# Not the library's own text: other people's packages, tests (much of it generated), caches.
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}

Document = tuple[str, str]


@dataclass(frozen=True)
class Source:
    """A corpus by name; its files (none when it is streamed) are read in order, named from root."""

    name: str
    root: Path
    files: tuple[Path, ...]

    @property
    def streamed(self) -> bool:
        """Whether the documents come over the network."""
        return not self.files

    def fingerprint(self) -> str:
        """Return a digest of the list of files with their sizes and times."""
        listing: list[Any] = [self.name if self.streamed else str(self.root)]
        for path in self.files:
            stat = path.stat()
            listing.append((str(path.relative_to(self.root)), stat.st_size, stat.st_mtime_ns))
        if self.name == "stdlib":
            listing.append(platform.python_version())
        return hashlib.sha256(json.dumps(listing).encode()).hexdigest()

    def documents(self) -> Iterator[Document]:
        """Yield `(name, text)`; a row of a file with rows is a document of its own."""
        if self.streamed:
            yield from _numbered(self.name, stream_rows(**FINEWEB))
        for path in self.files:
            name = path.relative_to(self.root).as_posix()
            if path.suffix == ".jsonl":
                yield from _json_rows(path, name)
            elif path.suffix == ".parquet":
                yield from _numbered(name, stream_rows("parquet", data_files=str(path)))
            else:
                yield name, path.read_text(encoding="utf-8", errors="replace")


def find_source(data: str) -> Source:
    """Return the source that a config's `data` names."""
    if data == "fineweb":
        return Source(data, Path(), ())
    if data == "stdlib":
        root = Path(sysconfig.get_path("stdlib"))
        found = _library_files(root)
    else:
        root = Path(data).expanduser().absolute()
        if not root.exists():
            raise ValueError(
                f'data: expected "stdlib", "fineweb" or an existing file or directory, got {data!r}'
            )
        if root.is_file():
            found, root = [root], root.parent
        else:
            found = [path for path in root.rglob("*") if path.suffix in READABLE]
    files = tuple(sorted(path for path in found if path.is_file()))
    if not files:
        raise ValueError(
            f"data: expected at least one file of {', '.join(READABLE)} in {data!r}, got none"
        )
    return Source(data, root, files)


def _library_files(root: Path) -> list[Path]:
    """Walk without entering what is skipped: site-packages alone can hold 100,000 files."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    return found


def _numbered(name: str, texts: Iterator[str]) -> Iterator[Document]:
    return ((f"{name}:{number}", text) for number, text in enumerate(texts))


def _json_rows(path: Path, name: str) -> Iterator[Document]:
    with path.open(encoding="utf-8") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    row = json.loads(line)
                except (json.JSONDecodeError, RecursionError):
                    raise ValueError(
                        f"{where}: expected a JSON object, got {line[:60]!r}"
                    ) from None
                yield f"{name}:{number}", _text(row, where)
        except UnicodeDecodeError:
            raise ValueError(
                f"{path}, line {number + 1}: expected a JSON object, got bytes that are not UTF-8"
            ) from None


def stream_rows(path: str, **source: Any) -> Iterator[str]:
    """Yield the texts of a dataset with a column `text` without downloading all of it first.

    The same code reads FineWeb from the Hub (`stream_rows(**FINEWEB)`) and local Parquet files
    (`stream_rows("parquet", data_files=...)`).
    """
    from datasets import load_dataset
    from datasets.utils import logging

    logging.set_verbosity(logging.CRITICAL)  # what it has to say of a failure, our sentence says
    origin = str(source.get("data_files", path))
    rows = _rows(origin, lambda: iter(load_dataset(path, split="train", streaming=True, **source)))
    for number, row in enumerate(rows):
        yield _text(row, f"{origin}, row {number}")


def _rows(origin: str, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield rows, and name where they come from when the reader fails, whatever it raises."""
    try:
        rows = begin()
        while (row := next(rows, None)) is not None:
            yield row
    except (OSError, ModuleNotFoundError):
        raise
    except Exception as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().partition("\n")[0] or type(cause).__name__
        raise ValueError(
            f'{origin}: expected a dataset with a text column "text", got {reason}'
        ) from error


def _text(row: Any, where: str) -> str:
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        shown = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        if isinstance(row, dict) and "text" in row:
            shown = "null in it" if text is None else f"{str(text)[:40]!r} in it"
        raise ValueError(f'{where}: expected a text column "text", got {shown}')
    return text
