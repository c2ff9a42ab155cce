"""How mkdocstrings reads this project's docstrings; loaded by name in mkdocs.yml."""

from __future__ import annotations

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Shows what stands under `Example:` as code, as it does what stands under `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the heading of one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
