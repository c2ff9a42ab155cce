"""Run the tutorial notebook from a fresh kernel.

    python tools/notebook.py           # run it and store what its cells print and draw
    python tools/notebook.py --check   # run it, exit 1 where it differs from what is stored

Words have to be the same and numbers nearly: another processor rounds differently. Pictures are not
compared, only that there are as many.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

PATH = Path(__file__).resolve().parent.parent / "examples" / "tutorial.ipynb"
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
CLOSE = 0.25
"""Relative difference that a number may have: small runs end a little differently elsewhere."""


def executed() -> Any:
    """Return the notebook with the outputs of a fresh run, and nothing that changes by itself."""
    notebook = nbformat.read(PATH, as_version=4)
    with tempfile.TemporaryDirectory() as folder:  # its socket: no port is opened
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        client = NotebookClient(notebook, km=manager, timeout=300)
        client.execute(cwd=str(PATH.parent))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("text/plain", None)
        if "outputs" in cell:
            cell.outputs = joined(cell.outputs)
    return notebook


def joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed one after another, which arrives in pieces of any size."""
    together: list[Any] = []
    for output in outputs:
        if together and output.output_type == together[-1].output_type == "stream":
            together[-1].text += output.text
        else:
            together.append(output)
    return together


def shown(cell: Any) -> tuple[str, int]:
    """Return what a cell printed, and how many pictures it drew."""
    outputs = cell.get("outputs", ())
    words = "".join(output.get("text", "") for output in outputs)
    return words, sum("image/png" in output.get("data", {}) for output in outputs)


def differs(stored: Any, fresh: Any) -> str:
    """Return how the outputs of a cell differ from the stored ones; empty where they agree."""
    (old, drawn), (new, draws) = shown(stored), shown(fresh)
    if drawn != draws or NUMBER.sub("N", old) != NUMBER.sub("N", new):
        return f"stored {old!r} and {drawn} pictures, now {new!r} and {draws}"
    numbers = ([float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (old, new))
    for was, now in zip(*numbers, strict=True):
        if abs(was - now) > CLOSE * max(abs(was), abs(now), 0.02):
            return f"stored {was:g}, now {now:g} in {new!r}"
    return ""


def main() -> int:
    """Run it, and store or compare."""
    fresh = executed()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(json.dumps(fresh, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return 0
    stored = nbformat.read(PATH, as_version=4)
    found = [differs(*cells) for cells in zip(stored.cells, fresh.cells, strict=True)]
    for number, words in enumerate(found):
        if words:
            print(f"cell {number}: {words}", file=sys.stderr)
    return int(any(found))


if __name__ == "__main__":
    raise SystemExit(main())
