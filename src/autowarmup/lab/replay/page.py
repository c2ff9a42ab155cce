"""What a replay leaves behind: `replay.json`, `figures/` and one self-contained `report.html`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autowarmup.history import Trace
from autowarmup.lab.files import write_json, write_text
from autowarmup.lab.replay.log import Log
from autowarmup.lab.replay.words import CAVEAT, headline, sentences, share_text
from autowarmup.lab.report.numbers import short
from autowarmup.lab.report.page import pictures, render
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from rich.console import Console

Json = Mapping[str, Any]

PAGE = "report.html"
_CAPTION = (
    "Above: the rate of each rule, and what the run itself had where the log says so. Below: the "
    "losses of the log, their median over short stretches and the band in which four fifths of "
    "them lie. Dotted lines: there the rate would have been lowered."
)


def write_page(
    out: Path, record: Json, log: Log, traces: Mapping[str, Trace], *, command: str = ""
) -> Path:
    """Write OUT/replay.json, OUT/figures and OUT/report.html and return the path of the page."""
    from autowarmup.lab.replay.picture import draw_replay
    from autowarmup.lab.report import style

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "replay.json", {"command": command, **record})
    drawing = partial(draw_replay, record, log, traces), partial(headline, record)
    style.save_all({"replay": drawing}, out / "figures", "replay")
    (figure,) = pictures(out / "figures", {"replay": ("Rates and losses", _CAPTION)})
    page = render(
        "page.html",
        room="replay",
        filters={"rule": rule_name, "share": share_text},
        headline=headline(record),
        caveat=CAVEAT,
        sentences=sentences(record),
        figure=figure,
        rows=record["rules"],
        total=record["total_steps"],
        facts=_facts(record, command),
    )
    write_text(out / PAGE, page)
    return out / PAGE


def _facts(record: Json, command: str) -> list[tuple[str, str, bool]]:
    facts = [("Command", command, True)] if command else []
    for source in record["sources"]:
        columns = [name for name in source["columns"] if name]
        from_columns = f" (columns {', '.join(columns)})" if columns else ""
        words = f"{source['name']}, read as {source['format']}{from_columns}"
        facts.append(("Log", words, False))
    losses = f"{record['losses']:,}, of {record['updates']:,} updates"
    first, last = short(record["first_loss"], 4), short(record["last_loss"], 4)
    told = {"optimizer": record["optimizer"], **record["told"]}
    words = [f"{name} {value}" for name, value in told.items() if value is not None]
    return [
        *facts,
        ("Losses", f"{losses}: {first} at first, {last} at the end", False),
        ("What the rules were told", ", ".join(words), False),
        ("Data behind this page", "replay.json, in the same directory", False),
    ]


def print_replay(record: Json, console: Console | None = None) -> None:
    """Print the sentence, a line per rule and what is to be known of the log."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    from autowarmup.lab.report.terminal import table

    console, total = console or RichConsole(), record["total_steps"]
    console.print(Text(headline(record), style="bold"))
    console.print(Text(CAVEAT))
    for sentence in sentences(record):
        console.print(Text(f"- {sentence}"))
    rows = []
    for row in record["rules"]:
        end, lowered = row["warmup_end_step"], row["lowered"]
        rows.append(
            (
                rule_name(row["rule"]),
                "not yet" if end is None else f"{end:,}",
                share_text(end / total) if total and end is not None else "–",
                str(len(lowered)) if lowered or row["lowers"] else "–",
                f"{lowered[0]['step']:,}" if lowered else "–",
                share_text(row["lowest_share"]) if lowered else "–",
            )
        )
    headings = ("ends at", "of run", "lowered", "at", "to")
    columns = [("rule", False), *((heading, True) for heading in headings)]
    caption = "ends at: of warm-up; at: where the rate is first lowered; to: at least"
    console.print(table(columns, rows, main=0, caption=caption))
