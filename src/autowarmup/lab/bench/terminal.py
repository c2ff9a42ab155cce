"""The benchmark on the terminal: a verdict and a line per rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.bench.labels import TUNED_ONCE, rule_name
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.report.numbers import percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Json = Mapping[str, Any]


def print_summary(summary: Json, console: Console | None = None) -> None:
    """Print the verdict and `rules_table`."""
    from rich.console import Console as RichConsole
    from rich.text import Text

    console = console or RichConsole()
    console.print(Text(headline(summary), style="bold"))
    for sentence in sentences(summary):
        console.print(Text(sentence))
    console.print(rules_table(summary))


def rules_table(summary: Json) -> Table:
    """Return a table of the rules, the lowest mean regret first."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        caption="regret: final loss against the best hand-tuned length of each set-up",
    )
    # Narrow enough for a terminal of 80 columns.
    table.add_column("rule", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name in ("mean %", "worst %", "won/tied", "div.", "set-ups"):
        table.add_column(name, justify="right", no_wrap=True)
    lines = [*summary["rules"].items(), (TUNED_ONCE, summary["hand_tuned_cross_validated"])]
    lines.sort(key=lambda item: (item[1]["mean_regret"] is None, item[1]["mean_regret"] or 0.0))
    for rule, line in lines:
        main = rule == summary["default_rule"]
        share = line["win_or_tie_share"]
        short = line["n_setups"] < line["tried_setups"]
        table.add_row(
            Text(rule_name(rule) + (" (default)" if main else "")),
            line["kind"],
            _percent(line["mean_regret"], 2),
            _percent(line["worst_regret"], 1),
            "–" if share is None else f"{100 * share:.0f} %",
            Text(str(line["diverged"]), style="red" if line["diverged"] else ""),
            f"{line['n_setups']}/{line['tried_setups']}" if short else str(line["n_setups"]),
            style="bold" if main else None,
        )
    return table


def _percent(share: float | None, digits: int) -> str:
    return "–" if share is None else percent(share, digits).removesuffix(" %")
