"""Files that people name: what is in them, or one sentence that names the file and what is wrong.

A shape describes JSON values: a type or a tuple of types, `[shape]` for a list, `{name: shape}` for
an object (other names are free, a name that ends in "?" may be missing), `None` for null.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Shape = Any
NUMBER = (int, float)
MAYBE = (int, float, None)
"""A number, or null where JSON has no word for it."""

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false",
          dict: "an object", list: "a list", None: "null"}  # fmt: skip


def read_json(path: Path, shape: Shape, what: str) -> Any:
    """Return the JSON values in a file.

    Args:
        path: the file.
        shape: what they must be, see above.
        what: the same in words, for the sentence: "the record of a run".

    Raises:
        ValueError: there is no such file, it cannot be read, is no JSON, or has another shape.
    """
    return parsed(read_text(path, what), shape, what, path)


def read_text(path: Path, what: str) -> str:
    """Return the text of a file.

    Raises:
        ValueError: there is none, it cannot be read, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        got = "no such file"
    except UnicodeDecodeError:
        got = "a file that is not text"
    except OSError as error:
        got = f"a path that cannot be read ({error.strerror or error})"
    raise ValueError(f"{path}: expected {what}, got {got}")


def parsed(text: str, shape: Shape, what: str, where: object) -> Any:
    """Return the values of a JSON text.

    Raises:
        ValueError: no JSON, or another shape; the sentence begins with `where`.

    Example:
        >>> parsed('{"loss": [1, null]}', {"loss": [MAYBE]}, "a curve", "x.json")
        {'loss': [1, None]}
        >>> parsed('{"loss": [1, "two"]}', {"loss": [MAYBE]}, "a curve", "x.json")
        Traceback (most recent call last):
        ...
        ValueError: x.json: expected a curve, got one whose loss[1] is "two", not a number or null
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        got = "an empty file" if not text.strip() else f"no JSON or a cut one ({error})"
        raise ValueError(f"{where}: expected {what}, got {got}") from None
    if wrong := mismatch(value, shape):
        raise ValueError(f"{where}: expected {what}, got {wrong}")
    return value


def mismatch(value: Any, shape: Shape, place: str = "") -> str:
    """Return in words where a value differs from a shape, nothing where it does not.

    Example:
        >>> mismatch({"seed": 0}, {"seed": int, "rule": str}), mismatch({"seed": 0}, {"seed": int})
        ('one without rule', '')
    """
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in shape.items():
            key, where = name.rstrip("?"), f"{place}.{name.rstrip('?')}".lstrip(".")
            if key not in value:
                if name == key:
                    return f"one without {where}"
            elif wrong := mismatch(value[key], inner, where):
                return wrong
        return ""
    if isinstance(shape, list) and isinstance(value, list):
        found = (mismatch(item, shape[0], f"{place}[{k}]") for k, item in enumerate(value))
        return next((wrong for wrong in found if wrong), "")
    if _fits(value, shape):
        return ""
    shown = json.dumps(value, default=lambda other: type(other).__name__, skipkeys=True)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return f"one whose {place} is {shown}, not {_words(shape)}" if place else shown


def _fits(value: Any, shape: Shape) -> bool:
    kinds = shape if isinstance(shape, tuple) else (shape,)
    if value is None:
        return None in kinds
    types = tuple(kind for kind in kinds if isinstance(kind, type))
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _words(shape: Shape) -> str:
    kinds = list(shape) if isinstance(shape, tuple) else [shape]
    if float in kinds and int in kinds:
        kinds.remove(int)
    names = [
        _WORDS.get(type(k) if isinstance(k, dict | list) else k, getattr(k, "__name__", ""))
        for k in kinds
    ]
    return " or ".join(names)


@contextlib.contextmanager
def taken_from(path: Path, what: str) -> Iterator[None]:
    """Name the file where what was read from it is of another shape deeper down.

    Raises:
        ValueError: in place of a missing key or a wrong type; one of somebody else gets the name.
    """
    try:
        yield
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error
    except (LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(":")
        reason = f"{reason} is missing" if isinstance(error, KeyError) else reason
        raise ValueError(f"{path}: expected {what}, got another shape ({reason})") from error
