"""The benchmark on the terminal: a verdict and a line per rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.names import KINDS
from autowarmup.lab.bench.verdict import headline, ranked, sentences, shown_to_work_only
from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.terminal import table
from autowarmup.lab.report.words import rule_name

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = [
    ("rule", False),
    ("kind", False),
    *((name, True) for name in ("mean %", "worst %", "won/tied", "div.", "set-ups")),
]


def print_summary(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the verdict and a table of the rules, the lowest mean regret first."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console = console or RichConsole()
    console.print(Text(headline(summary), style="bold"))
    for sentence in sentences(summary):
        console.print(Text(sentence))
    if shown_to_work_only(summary):
        return
    lines = ranked(summary)
    rows = [
        (
            rule_name(rule) + (" (default)" if rule == summary["default_rule"] else ""),
            KINDS[line["kind"]],
            percent(line["mean_regret"], 2).removesuffix(" %"),
            percent(line["worst_regret"]).removesuffix(" %"),
            percent(line["win_or_tie_share"], 0, signed=False),
            Text(str(line["diverged"]), style="red" if line["diverged"] else ""),
            "/".join(map(str, sorted({line["n_setups"], line["tried_setups"]}))),
        )
        for rule, line in lines
    ]
    names = [rule for rule, _ in lines]
    main = names.index(summary["default_rule"]) if summary["default_rule"] in names else None
    caption = "regret: final loss against the best hand-tuned length of each set-up"
    console.print(table(_COLUMNS, rows, caption=caption, main=main))
