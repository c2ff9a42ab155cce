from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autowarmup.lab.bench.figures import FIGURES
from autowarmup.lab.bench.page import write_page
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.stats import summarise
from autowarmup.lab.bench.terminal import print_summary
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.bench.worst_figure import PANELS, chosen_rules, mean_curves

Record = dict[str, Any]
Make = Callable[..., Record]

ROBUSTNESS = [
    {
        "title": "Scale of the loss",
        "rows": [
            {"variation": "loss <x> 10", "rule": "flat", "mean_regret": 0.0123,
             "worst_regret": 0.045, "n_setups": 6},
            {"variation": "loss x 100", "rule": "flat", "mean_regret": None,
             "worst_regret": None, "n_setups": 0},
        ],
    }
]  # fmt: skip


@pytest.fixture(scope="module")
def records(core_records: list[Record]) -> list[Record]:
    """Two optimizers, so that drawing is quick; no warm-up diverges with one of them."""
    return [r for r in core_records if r["setup"]["optimizer"] in ("muon", "sgd")]


@pytest.fixture(scope="module")
def summary(records: list[Record], kinds: dict[str, str]) -> dict[str, Any]:
    return summarise(records, default_rule="flat", kinds=kinds)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], summary: dict[str, Any]
) -> Path:
    out = tmp_path_factory.mktemp("bench") / "new"
    page = write_page(
        out, summary, records, robustness=ROBUSTNESS,
        about={"untuned": "2 / (1 - b2) <updates>"}, facts=[("Command", "bench <all>", True)],
    )  # fmt: skip
    assert page == out / "bench.html"
    return out


class Loads(HTMLParser):
    """Collects everything that a browser would fetch for a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.found.append(value or "")


def test_the_page_stands_alone(folder: Path) -> None:
    text = (folder / "bench.html").read_text()
    loads = Loads()
    loads.feed(text)
    assert {url for url in loads.found if not url.startswith("#")} == {"data:,"}
    assert re.findall(r"url\((?!#)", text) == []
    assert "script" not in loads.tags
    assert "image" not in loads.tags
    assert loads.tags.count("svg") == len(FIGURES)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {url[1:] for url in loads.found if url.startswith("#")} <= set(ids)


def test_the_page_says_what_the_summary_says(folder: Path, summary: dict[str, Any]) -> None:
    text = (folder / "bench.html").read_text()
    held = json.loads((folder / "summary.json").read_text())
    assert held == {**summary, "robustness": ROBUSTNESS}
    assert headline(summary) in text
    for sentence in sentences(summary):
        assert sentence in text
    table = text[text.index('<table id="rules">') : text.index("What the words mean")]
    rows = re.findall(r'scope="row"[^>]*>([^<]*)<', table)
    assert len(rows) == len(summary["rules"]) + 1
    assert "flat (default)" in rows
    assert "hand-tuned on one seed" in rows
    assert f"{100 * summary['rules']['untuned']['mean_regret']:+.2f} %" in table
    assert "in 2 where a length survived" in table
    for part in (
        "2 / (1 - b2) &lt;updates&gt;",
        "bench &lt;all&gt;",
        "loss &lt;x&gt; 10",
        "+1.23 %",
    ):
        assert part in text


def test_drawing_again_changes_no_byte(
    folder: Path, tmp_path: Path, records: list[Record], summary: dict[str, Any]
) -> None:
    write_page(tmp_path, summary, records)
    names = {f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")}
    assert {path.name for path in (folder / "figures").iterdir()} == names
    for name in names:
        same = (tmp_path / "figures" / name).read_bytes()
        assert same == (folder / "figures" / name).read_bytes(), name
    assert 'id="robustness"' not in (tmp_path / "bench.html").read_text()


def test_the_verdict_in_words(make_record: Make, kinds: dict[str, str]) -> None:
    records = []
    for lr in (1.2e-2, 4.8e-2):
        setup = Setup("muon", lr)
        for rule, loss in (("none", 2.0), ("linear 5%", 1.0), ("flat", 0.99)):
            lost = rule == "flat" and lr > 0.02
            records.append(make_record(rule, None if lost else loss, setup=setup))
    records = records[1:]
    summary = summarise(records, default_rule="flat", kinds=kinds)
    assert headline(summary) == (
        "Used unchanged in 1 of 2 set-ups, flat ends with a loss 1.0 % below that of the best "
        "hand-tuned warm-up on average and 1.0 % below it in the worst set-up; by the mean it is "
        "1st of 3 rules, and it diverged in 1 where a hand-tuned length did not."
    )
    told = " ".join(sentences(summary))
    assert "The best single length for all set-ups is linear 5 %: mean regret 0.00 %" in told
    assert "1 of 5 runs diverged" in told
    assert "not run in every set-up: no warm-up; hand-tuned lengths are missing in 1 of 2" in told
    assert "No set-up has two seeds" in told
    absent = summarise(records, default_rule="autowu", kinds=kinds)
    assert "has no run here yet" in headline(absent)


@pytest.mark.parametrize("case", ["diverged", "one run", "no hand-tuned", "no default"])
def test_little_still_draws(
    case: str, tmp_path: Path, make_record: Make, kinds: dict[str, str]
) -> None:
    records = {
        "diverged": [make_record(rule, None) for rule in ("none", "flat")],
        "one run": [make_record("linear 5%", 1.0)],
        "no hand-tuned": [make_record("flat", 1.0), make_record("untuned", 1.1)],
        "no default": [make_record("none", 2.0), make_record("untuned", 1.9)],
    }[case]
    summary = summarise(records, default_rule="flat", kinds=kinds)
    page = write_page(tmp_path, summary, records)
    assert headline(summary) in page.read_text()
    print_summary(summary, Console(file=io.StringIO()))


def test_the_terminal_fits_80_columns(summary: dict[str, Any]) -> None:
    out = io.StringIO()
    print_summary(summary, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert not any("…" in line for line in lines)
    assert any(re.search(r"flat \(default\) +candidate", line) for line in lines)
    assert any(re.search(r"no warm-up .* 4 +", line) for line in lines)


def test_worst_cases_show_every_rule_that_is_no_length(
    summary: dict[str, Any], kinds: dict[str, str]
) -> None:
    rules = chosen_rules(summary)
    assert {rule for rule, kind in kinds.items() if kind != "fixed"} | {"none"} <= set(rules)
    assert len(rules) == PANELS
    assert rules == [rule for rule in summary["rules"] if rule in rules]


def test_curves_are_means_over_what_all_seeds_have(make_record: Make) -> None:
    runs = [make_record("flat", 1.0, seed) for seed in (0, 1)]
    runs[0]["trace"] = {"stretch": 5, "loss": [2.0, 2.0, 2.0], "factor": [0.0, 0.5, 1.0]}
    runs[1]["trace"] = {"stretch": 5, "loss": [4.0, 4.0], "factor": [0.5, 1.0]}
    at, loss, factor = mean_curves(runs)
    assert at.tolist() == [0, 5]
    assert loss.tolist() == pytest.approx([3.0, 3.0])
    assert factor.tolist() == [0.25, 0.75]
