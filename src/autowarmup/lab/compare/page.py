"""What a comparison leaves behind: `summary.json`, `figures/` and one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.names import setup_name
from autowarmup.lab.compare.words import headline, sentences
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_json, write_text
from autowarmup.lab.report.numbers import count, interval_text, share, short
from autowarmup.lab.report.page import pictures, render
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from rich.console import Console

Json = Mapping[str, Any]

PAGE = "report.html"
_CAPTION = (
    "Large mark: the mean difference over the seeds (round: a hand-tuned length). Line: its 95 % "
    "interval, by Student's t. Small dots: the seeds. A rule whose line crosses 0 cannot be told "
    "from the reference."
)


def write_page(out: Path, summary: Json, *, command: str = "") -> Path:
    """Write OUT/summary.json, OUT/figures and OUT/report.html and return the path of the page."""
    from autowarmup.lab.compare.picture import draw_differences
    from autowarmup.lab.report import style

    machine = environment()
    write_json(out / "summary.json", {"command": command, "environment": machine, **summary})
    drawn = style.save_all(
        {"differences": (partial(draw_differences, summary), partial(headline, summary))},
        out / "figures",
        "compare",
    )
    captions = dict.fromkeys(drawn, ("Difference to the reference", _CAPTION))
    page = render(
        "page.html",
        room="compare",
        filters={
            "rule": rule_name,
            "loss": lambda value: share(value, 4),
            "error": lambda value: short(value, 2),
            "interval": lambda both: interval_text(both, 3),
        },
        headline=headline(summary),
        subject=_subject(summary),
        sentences=sentences(summary),
        figures=pictures(out / "figures", captions),
        rows=summary["rules"],
        seeds=summary["seeds"],
        facts=_facts(summary, command, machine),
    )
    write_text(out / PAGE, page)
    return out / PAGE


def _subject(summary: Json) -> str:
    updates = summary["updates"]
    each = "" if updates is None else f" of {count(updates, 'update')} each"
    return (
        f"{setup_name(summary['setup'])}: {count(summary['stored'], 'run')}{each}, "
        f"{count(len(summary['rules']), 'rule')} on {count(len(summary['seeds']), 'seed')}. "
        "Runs of one seed share weights and data."
    )


def _facts(summary: Json, command: str, machine: Json) -> list[tuple[str, str, bool]]:
    facts = [("Command", command, True)] if command else []
    return [
        *facts,
        ("Runs", f"{summary['stored']} of {summary['planned']} are stored", False),
        ("Machine", f"{machine['cpu']}, torch {machine['torch']}", False),
        ("Data behind this page", "summary.json and runs/, in the same directory", False),
    ]


def print_comparison(summary: Json, console: Console | None = None) -> None:
    """Print the verdict and a line per rule."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    from autowarmup.lab.report.terminal import table

    console = console or RichConsole()
    console.print(Text(headline(summary), style="bold"))
    for sentence in sentences(summary):
        console.print(Text(f"- {sentence}"))
    columns = [
        ("rule", False),
        *((name, True) for name in ("loss", "difference", "std. error", "div.", "verdict")),
    ]
    rows = []
    for row in summary["rules"]:
        difference = row["difference"] if row["rule"] != summary["reference"] else None
        diverged = Text(str(row["diverged"]), style="red" if row["diverged"] else "")
        rows.append(
            (
                rule_name(row["rule"]),
                share(row["mean"], 4),
                share(difference["mean"], 4) if difference else "–",
                short(difference["error"], 2) if difference else "–",
                diverged,
                row["verdict"] or "–",
            )
        )
    console.print(table(columns, rows, main=0))
