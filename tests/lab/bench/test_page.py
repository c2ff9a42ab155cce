"""The page of a large benchmark and of the demo, and what the terminal says."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.pages import assert_fits, assert_stands_alone, findings, needs_browser, visit, words

from autowarmup.lab.bench import curve_figures
from autowarmup.lab.bench import findings as bench_findings
from autowarmup.lab.bench.curve_figures import PANELS, chosen_rules, mean_curves
from autowarmup.lab.bench.page import write_page
from autowarmup.lab.bench.rules import described
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.summary import summarise
from autowarmup.lab.bench.terminal import print_summary
from autowarmup.lab.bench.verdict import headline, sentences
from autowarmup.lab.report.numbers import percent

Record = dict[str, Any]
Make = Callable[..., Record]

FIGURES = {
    "large": ("mean_regret", "heat_map", "worst_cases"),
    "demo": ("warmup_length", "runs"),
}
FEW_PANELS = 4  # drawing more takes seconds
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
def records(core_records: list[Record], demo_records: list[Record]) -> dict[str, list[Record]]:
    """Two optimizers, so that drawing is quick; and a demo with a diverged run."""
    large = [
        r
        for r in core_records
        if r["setup"]["optimizer"] in ("muon", "sgd") and r["setup"]["steps"] == 2500
    ]
    demo = [dict(record) for record in demo_records]
    demo[1] |= {
        "status": "diverged",
        "val_loss": None,
        "message": "nan <script>alert(1)</script>",
    }
    return {"large": large, "demo": demo}


@pytest.fixture(scope="module")
def summaries(records: dict[str, list[Record]]) -> dict[str, Any]:
    return {
        "large": summarise(records["large"], default_rule="flat"),
        "demo": summarise(records["demo"]),
    }


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    records: dict[str, list[Record]],
    summaries: dict[str, Any],
) -> Path:
    out = tmp_path_factory.mktemp("bench") / "new"
    monkey = pytest.MonkeyPatch()
    monkey.setattr(curve_figures, "PANELS", FEW_PANELS)
    for name, summary in summaries.items():
        robustness = ROBUSTNESS if name == "large" else []
        page = write_page(
            out / name, summary, records[name], robustness=robustness,
            facts=[("Command", "bench <all>", True)],
        )  # fmt: skip
        assert page == out / name / "report.html"
    monkey.undo()
    return out


@pytest.mark.parametrize("name", FIGURES)
def test_the_page_stands_alone(folder: Path, name: str) -> None:
    text = words(folder / name / "report.html")
    assert_stands_alone(text, figures=len(FIGURES[name]))


@pytest.mark.parametrize("name", FIGURES)
def test_the_page_says_what_the_summary_says(
    folder: Path, name: str, summaries: dict[str, Any]
) -> None:
    text, summary = words(folder / name / "report.html"), summaries[name]
    held = json.loads((folder / name / "summary.json").read_text())
    assert held == {**summary, "robustness": ROBUSTNESS if name == "large" else []}
    assert headline(summary) in text
    for sentence in sentences(summary):
        assert sentence in text
    assert "bench &lt;all&gt;" in text
    table = text[text.index('<table id="rules">') : text.index("What the words mean")]
    for rule, line in summary["rules"].items():
        assert described(rule).about in table
        assert f"{100 * line['mean_regret']:+.2f} %".replace("-", "−").lstrip("+") in table


def test_a_large_page_has_tables_of_parts_and_of_robustness(
    folder: Path, summaries: dict[str, Any]
) -> None:
    text = words(folder / "large" / "report.html")
    table = text[text.index('<table id="rules">') : text.index("What the words mean")]
    rows = re.findall(r'scope="row"[^>]*>([^<]*)<', table)
    assert len(rows) == len(summaries["large"]["rules"]) + 1
    assert "flat (default)" in rows
    assert "hand-tuned on one seed" in rows
    assert "where a length survived" in table
    assert text.count('class="part"') == 3
    for part in ("loss &lt;x&gt; 10", "+1.23 %"):
        assert part in text


def test_the_page_of_the_demo_goes_set_up_by_set_up(folder: Path, summaries: Any) -> None:
    text, summary = words(folder / "demo" / "report.html"), summaries["demo"]
    table = text[text.index('<table id="setups">') : text.index("What to make of it")]
    assert [setup["label"] for setup in summary["setups"]] == [
        "Muon, lr 0.006", "Lion, lr 0.003", "Normalized SGD, lr 0.3",
    ]  # fmt: skip
    for setup in summary["setups"]:
        assert setup["label"] in table
        assert f"{setup['best_val']:.4f}" in table
        assert f"{setup['vals']['paced'][0]:.4f}" in table
        assert f">{setup['outcomes']['paced']}<" in table
    assert "nan &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Its regret: Muon, lr 0.006 " in text
    assert 'class="part"' not in text
    assert 'id="robustness"' not in text


@pytest.mark.parametrize("name", FIGURES)
def test_drawing_again_changes_no_byte(
    folder: Path, tmp_path: Path, name: str, records: Any, summaries: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(curve_figures, "PANELS", FEW_PANELS)
    write_page(tmp_path, summaries[name], records[name])
    names = {f"{figure}{size}.svg" for figure in FIGURES[name] for size in ("", "-narrow")}
    names -= {"heat_map-narrow.svg"}  # as many columns as rules: it scrolls
    assert {path.name for path in (folder / name / "figures").iterdir()} == names
    for figure in names:
        same = (tmp_path / "figures" / figure).read_bytes()
        assert same == (folder / name / "figures" / figure).read_bytes(), figure


def test_the_verdict_in_words(make_record: Make) -> None:
    records = []
    for lr in (1.2e-2, 2.4e-2):
        setup = Setup("muon", lr)
        for rule, loss in (("none", 2.0), ("linear 5%", 1.0), ("flat", 0.99)):
            lost = rule == "flat" and lr > 0.02
            records.append(make_record(rule, None if lost else loss, setup=setup))
    records = records[1:]
    summary = summarise(records, default_rule="flat")
    assert headline(summary) == (
        "Used unchanged in 1 of 2 set-ups, flat ends with a loss 1.0 % below that of the best "
        "hand-tuned warm-up on average and 1.0 % below it in the worst set-up; by the mean it is "
        "1st of 3 rules, and it diverged in 1 where a hand-tuned length did not."
    )
    told = " ".join(sentences(summary))
    assert "The best single length for all set-ups is linear 5 %: mean regret 0.00 %" in told
    assert "the default won 0, tied 1 (within 2 %) and lost 1" in told
    assert "1 of 5 runs diverged" in told
    assert "not run in every set-up: no warm-up; hand-tuned lengths are missing in 1 of 2" in told
    assert "No set-up has two seeds" in told
    more = [
        make_record(rule, loss + seed / 10, seed, setup=Setup("muon", lr))
        for lr in (1.2e-2, 2.4e-2)
        for rule, loss in (("none", 2.0), ("linear 5%", 1.0), ("flat", 0.98))
        for seed in (0, 1)
    ]
    told = " ".join(sentences(summarise(more, default_rule="flat")))
    assert (
        "judging it on the others, has mean regret 0.00 %, worst 0.0 %. The default lies 1.90 % "
        in told
    )
    line = {**summary["rules"]["linear 5%"], "mean_regret": -0.01}
    told = " ".join(sentences({**summary, "in_updates": {"linear 500 steps": line}}))
    assert (
        "The best single length for all set-ups is linear 500 steps: mean regret −1.00 %, worst "
        "0.0 %; the best share of the run is linear 5 %: mean regret 0.00 %" in told
    )
    absent = summarise(records, default_rule="autowu")
    assert "has no run here yet" in headline(absent)


@pytest.mark.parametrize("case", ["diverged", "one run", "no hand-tuned", "no default"])
def test_little_still_draws(case: str, tmp_path: Path, make_record: Make) -> None:
    records = {
        "diverged": [make_record(rule, None) for rule in ("none", "flat")],
        "one run": [make_record("linear 5%", 1.0)],
        "no hand-tuned": [make_record("flat", 1.0), make_record("untuned", 1.1)],
        "no default": [make_record("none", 2.0), make_record("untuned", 1.9)],
    }[case]
    summary = summarise(records, default_rule="flat")
    page = write_page(tmp_path, summary, records)
    assert headline(summary) in words(page)
    print_summary(summary, Console(file=io.StringIO()))


@pytest.mark.parametrize("name", FIGURES)
def test_the_terminal_fits_80_columns(name: str, summaries: dict[str, Any]) -> None:
    out = io.StringIO()
    print_summary(summaries[name], Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert not any("…" in line for line in lines)
    assert headline(summaries[name]) in " ".join(out.getvalue().split())
    default = summaries[name]["default_rule"]
    assert any(re.search(rf"{default} \(default\) +ours", line) for line in lines)
    if name == "large":
        assert any(re.search(r"no warm-up .* 2 +5/6", line) for line in lines)


def test_worst_cases_show_every_rule_that_is_no_length(summaries: dict[str, Any]) -> None:
    summary = summaries["large"]
    rules = chosen_rules(summary)
    others = {rule for rule, line in summary["rules"].items() if line["kind"] != "fixed"}
    assert others | {"none"} <= set(rules)
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


def test_reading_a_summary_needs_no_drawing_packages() -> None:
    code = (
        "import sys, autowarmup.lab.bench.summary, autowarmup.lab.bench.terminal\n"
        "loaded = {'matplotlib', 'jinja2', 'torch', 'transformers', 'rich'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_browser
def test_the_page_opens_in_a_browser(folder: Path, tmp_path: Path, summaries: Any) -> None:
    page = folder / "demo" / "report.html"
    seen = visit(page, tmp_path, "--dump-dom")
    assert headline(summaries["demo"]) in seen.dom.replace("&nbsp;", " ")
    assert seen.dom.count("<svg") == 2 * len(FIGURES["demo"])
    assert (seen.console, seen.requests) == ([], [])
    picture = tmp_path / "page.png"
    assert visit(page, tmp_path, f"--screenshot={picture}").console == []
    assert _share_of_colour(picture, (192, 79, 14)) > 1e-4


@needs_browser
@pytest.mark.parametrize("name", FIGURES)
def test_the_page_fits_every_screen(folder: Path, tmp_path: Path, name: str) -> None:
    assert_fits(folder / name / "report.html", tmp_path)


def test_the_findings_are_those_of_the_data(folder: Path, summaries: Any, records: Any) -> None:
    large = findings(words(folder / "large" / "report.html"))
    line = summaries["large"]["rules"]["flat"]
    mean, worst = (
        f"{100 * line[k]:+.{d}f} %" for k, d in (("mean_regret", 2), ("worst_regret", 1))
    )
    assert (
        f"flat (the default) costs {mean} on average and {worst} at worst" in large["mean_regret"]
    )
    assert f"{worst}, in {line['worst_setup']}" in large["worst_cases"]
    regrets = [setup["regrets"]["flat"] for setup in summaries["large"]["setups"]]
    near = sum(abs(regret) <= 0.01 for regret in regrets if regret is not None)
    assert f"within 1 % of the best hand-tuned length in {near}, " in large["heat_map"]
    demo = findings(words(folder / "demo" / "report.html"))
    muon = summaries["demo"]["setups"][0]
    assert (
        f"{percent(muon['regrets']['paced'])} against linear 5 % in Muon" in demo["warmup_length"]
    )
    assert f"linear 5 % in Muon, lr 0.006 ({muon['best_val']:.3f})" in demo["runs"]
    # Another default, another finding.
    other = summarise(records["large"], default_rule="untuned")
    for name in ("mean_regret", "heat_map", "worst_cases"):
        assert getattr(bench_findings, name)(other) != large[name]


@needs_browser
def test_the_browser_test_would_notice(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://example.invalid/x.png'><script>throw Error('x')</script>")
    seen = visit(page, tmp_path, "--dump-dom")
    assert seen.requests == ["http://example.invalid/x.png"]
    assert any("Uncaught Error: x" in line for line in seen.console)


def _share_of_colour(picture: Path, colour: tuple[int, int, int]) -> float:
    """Return the share of pixels close to a colour: the adaptive lines were really painted."""
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    return float((abs(pixels - colour).max(axis=-1) < 12).mean())
