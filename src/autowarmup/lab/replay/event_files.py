"""TensorBoard event files, read without TensorBoard.

A file is a row of records: length (uint64), its checksum (4 bytes), an `Event` in the wire format
of protocol buffers, its checksum. Of an `Event` only step (field 2) and summary (5) are read, of
each of its values (1) the tag (1) and the scalar: as `simple_value` (2) or as a tensor of one
number (8), as TensorFlow 2 writes it. Checksums are not looked at: a file is read while it grows.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from autowarmup.lab.replay.columns import Wanted, chosen, no_losses
from autowarmup.lab.replay.log import Piece

_LENGTH, _FLOAT, _DOUBLE = struct.Struct("<Q"), struct.Struct("<f"), struct.Struct("<d")
_MOST = 1 << 30
_KINDS = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
"""Types of tensors -> numpy's names."""


def read_events(files: list[BinaryIO], wanted: Wanted) -> Piece:
    """Return the scalars of a directory's event files, in the order of the files."""
    tags: dict[str, tuple[array[int], array[float]]] = {}
    for file in files:
        for step, tag, value in scalars(file):
            held = tags.get(tag)
            if held is None:
                held = tags[tag] = array("q"), array("d")
            held[0].append(step)
            held[1].append(value)
    loss, rate = chosen("loss", tags, wanted), chosen("rate", tags, wanted)
    if loss is None:
        raise no_losses(tags)
    steps, losses = (np.array(side) for side in tags[loss])
    rate_steps, rates = (np.array(side) for side in tags[rate]) if rate else (steps[:0],) * 2
    names = "step", loss, rate or ""
    return Piece("TensorBoard events", steps, losses, rate_steps, rates, columns=names)


def scalars(file: BinaryIO) -> Iterator[tuple[int, str, float]]:
    """Yield (step, tag, value) of every scalar; a record that is cut short is the end.

    Raises:
        ValueError: not an event file.
    """
    while len(head := file.read(12)) == 12:
        (length,) = _LENGTH.unpack_from(head)
        if length > _MOST:
            raise ValueError("expected TensorBoard's event files, got records of impossible length")
        event = file.read(length + 4)
        if len(event) < length + 4:
            return
        try:
            found = list(_scalars_of(event[:-4]))
        except (struct.error, TypeError, AttributeError):  # other fields than those of an event
            raise ValueError("expected TensorBoard's event files, got another record") from None
        yield from found


def _scalars_of(event: bytes) -> Iterator[tuple[int, str, float]]:
    step, summary = 0, b""
    for field, value in _fields(event):
        if field == 2:
            step = value
        elif field == 5:
            summary = value
    for field, inside in _fields(summary):
        if field != 1:
            continue
        tag, number = "", None
        for part, value in _fields(inside):
            if part == 1:
                tag = value.decode(errors="replace")
            elif part == 2 and isinstance(value, bytes):
                (number,) = _FLOAT.unpack(value)
            elif part == 8:
                number = _scalar_of(value)
        if number is not None:
            yield step, tag, number


def _scalar_of(tensor: bytes) -> float | None:
    """Return the number of a tensor that holds one."""
    kind, content, numbers = 0, b"", None
    for field, value in _fields(tensor):
        if field == 1:
            kind = value
        elif field == 4:
            content = value
        elif field in (5, 6) and isinstance(value, bytes):
            unpacked = np.frombuffer(value, "<f4" if field == 5 else "<f8")
            numbers = unpacked if len(unpacked) == 1 else None
    if content and kind in _KINDS:
        numbers = np.frombuffer(content, _KINDS[kind])
    return None if numbers is None or len(numbers) != 1 else float(numbers[0])


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of a message's fields: integers as they are, all others as bytes."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
        else:
            if wire == 2:
                size, at = _varint(message, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("expected TensorBoard's event files, got another record")
            value = message[at : at + size]
            at += size
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("expected TensorBoard's event files, got a record that ends early")
