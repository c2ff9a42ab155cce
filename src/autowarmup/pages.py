"""The door from what a user holds to its page: the one file of the library that knows the lab.

Pages are made by the lab, which needs jinja2 and matplotlib (`autowarmup[report]`). It is loaded
when a page is asked for, inside these functions and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def run_page(
    out: str | Path, trace: Any, sentences: str, facts: Mapping[str, str], draw: Callable[..., Any]
) -> str:
    """Write OUT/report.html of a run and return a sentence that says so.

    Args:
        out: directory, made if it is missing.
        trace: of the run; stored as OUT/trace.jsonl.
        sentences: what the run was like.
        facts: what else is to be known, by name.
        draw: draws the run into axes of matplotlib.

    Raises:
        ModuleNotFoundError: `autowarmup[report]` is not installed.
        ValueError: OUT is a file, or another process writes to it.
    """
    _need_report()
    from autowarmup.lab.run_page import write_page

    return _said(write_page(Path(out), trace, sentences, facts, draw))


def curvature_page(
    out: str | Path,
    trace: Any,
    *,
    lower_bound: float,
    norm: str = "not recorded",
    label: str = "your run",
    about: str = "",
    config: Mapping[str, Any] | None = None,
    counted: Any = None,
    determinism: Any = None,
) -> str:
    """Write OUT/measure.html of measured curvature and return a sentence that says so.

    Raises:
        ModuleNotFoundError: `autowarmup[report]` is not installed.
        ValueError: no point of the trace holds a curvature, OUT is a file or holds files of others.
    """
    _need_report()
    from autowarmup.lab.curvature.observed import write_observed

    source = {"kind": "observer", "about": about}
    facts = {"norm": norm, "counted": counted, "determinism": determinism}
    return _said(
        write_observed(
            Path(out), trace, source=source, label=label, config=dict(config or {}),
            lower_bound=lower_bound, seeds=[], command="", **facts,
        )
    )  # fmt: skip


def _need_report() -> None:
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"a page needs {' and '.join(missing)}: expected pip install 'autowarmup[report]'",
            name=missing[0],
        )


def _said(page: Path) -> str:
    return f"The page is {page}."
