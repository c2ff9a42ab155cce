"""Docstrings of the verbs as texts of help that fit the terminal."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable
from typing import Any


def fit_helps(verbs: Iterable[Callable[..., Any]]) -> None:
    """Write every docstring anew so that tyro prints it well.

    It breaks the text of an option where our sources do, and the paragraphs above not at all, but
    for lines that begin with a space.
    """
    width = shutil.get_terminal_size().columns
    for verb in verbs:
        verb.__doc__ = help_text(verb.__doc__ or "", width)


def help_text(docstring: str, width: int) -> str:
    """Return a docstring whose paragraphs are at most so wide, and whose options have a line each.

    Example:
        >>> print(help_text("Train many runs.\\n\\nArgs:\\n    out: where\\n        to.", 12))
        Train many
         runs.
        <BLANKLINE>
        Args:
            out: where to.
    """
    said, options, rest = inspect.cleandoc(docstring).partition("\n\nArgs:")
    paragraphs = [
        textwrap.fill(" ".join(text.split()), width, subsequent_indent=" ")
        for text in said.split("\n\n")
    ]
    return "\n\n".join(paragraphs) + options + re.sub(r"\n {8,}", " ", rest)
