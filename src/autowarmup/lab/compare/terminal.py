"""The summary on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autowarmup.lab.report.numbers import percent
from autowarmup.lab.report.words import no_number, warmup_name

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

Json = Mapping[str, Any]

_COLOURS = {"better": "green", "alone": "green", "level": "", "worse": "red"}


def print_summary(summary: Json, console: Console | None = None) -> None:
    """Print the verdict, a row per set-up and what diverged or failed."""
    from rich.console import Console as RichConsole

    (console or RichConsole()).print(summary_table(summary))


def summary_table(summary: Json) -> Group:
    """Return what `print_summary` prints, for a console of one's own."""
    from rich.console import Group
    from rich.text import Text

    verdict = summary["verdict"]
    return Group(
        Text(verdict["headline"], style="bold"),
        *(Text(sentence) for sentence in verdict["sentences"]),
        _setups(summary),
        *(
            Text(f"{run['status']} {run['id']}: {run['message']}", style="red")
            for run in summary["trouble"]
        ),
    )


def _setups(summary: Json) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, caption="final validation loss in nats per token, lower is better")
    table.add_column("set-up", no_wrap=True)
    for name in ("adaptive", "best hand-tuned", "regret", "no warm-up"):
        table.add_column(name, justify="right")
    for setup in summary["setups"]:
        rules = {rule["rule"]: rule for rule in setup["rules"]}
        adaptive, best = rules.get(summary["main_rule"]), rules.get(setup["best_hand_tuned"])
        regret = adaptive["regret"] if adaptive else None
        outcome = summary["verdict"]["outcomes"].get(setup["label"], "no number")
        table.add_row(
            Text(setup["label"]),
            _value(adaptive),
            f"{_value(best)} ({_length(best['warmup'])})" if best else "–",
            Text(
                percent(regret) if outcome in _COLOURS and regret is not None else outcome,
                style=_COLOURS.get(outcome, "yellow"),
            ),
            _value(rules.get("linear 1")),
        )
    return table


def _length(warmup: str) -> str:
    return "none" if warmup == "1" else warmup_name(warmup)


def _value(rule: Json | None) -> str:
    if rule is None:
        return "–"
    if rule["val_loss"] is None:
        return no_number(rule)
    return f"{rule['val_loss']:.4f}"
