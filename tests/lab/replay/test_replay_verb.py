"""`autowarmup replay` as a user types it: sentences, table, picture, page, JSON."""

from __future__ import annotations

import json
import re
import time
import tracemalloc

import numpy as np
import pytest
from tests.pages import assert_fits, assert_stands_alone, findings, needs_browser, words

from autowarmup import replay
from autowarmup.lab.cli import main
from autowarmup.lab.replay.columns import Wanted
from autowarmup.lab.replay.judged import judged, why
from autowarmup.lab.replay.log import Log
from autowarmup.lab.replay.page import write_page
from autowarmup.lab.replay.read import read_logs
from autowarmup.lab.replay.words import headline, sentences
from autowarmup.lab.rule_list import rule_list


def falling(count: int = 1000) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 0.05, count)
    return 2.0 + 4.0 * (1.0 + np.arange(count) / 20) ** -0.4 + noise


def rising() -> np.ndarray:
    """Falls for 200 updates, then rises by 2 over 200, and stays there."""
    return falling() + np.clip((np.arange(1000) - 200) / 100, 0.0, 2.0)


def log_of(losses: np.ndarray, rates: np.ndarray | None = None) -> Log:
    return Log(np.arange(len(losses)), losses, rates, None, (), (("a.csv", "CSV", ("", "", "")),))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{k},{x:.5f},{1e-3 * min(1, (k + 1) / 50):.6g}\n" for k, x in enumerate(rising().tolist())
    ]
    (tmp_path / "bad.csv").write_text("step,loss,lr\n" + "".join(rows))
    (tmp_path / "good.txt").write_text("\n".join(map(str, falling().tolist())))
    return tmp_path


def said(arguments: str, capsys) -> str:
    assert main(arguments.split()) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_run_that_went_well_is_left_alone(folder, capsys):
    text = said("replay good.txt --optimizer muon", capsys)
    assert text.startswith(
        "The rule paced would have ended warm-up at update 299 (30 % of the run) and never lowered "
        "the rate: the loss gave no reason to. The losses are those of the rates that the run had."
    )
    assert "no forecast" in text
    assert "--optimizer" not in text
    assert said("replay good.txt --optimizer muon --open-end", capsys).startswith(
        "The rule paced would have ended warm-up at update 299 and never lowered the rate"
    )
    assert "linear 5 % 49 4.9 % – – –" in text


def test_a_loss_that_rises_is_named_with_its_place_its_size_and_its_reason(folder, capsys):
    text = said("replay bad.csv --optimizer muon --decay constant", capsys)
    found = re.search(
        r"lowered the rate twice, first at update (\d+) \((\d+) % of the run\), from (\d+) % to "
        r"(\d+) % of the peak rate, because the loss had risen from (\d\.\d+) "
        r"\(updates (\d+) to (\d+)\) to (\d\.\d+)\.",
        text,
    )
    assert found is not None
    at, _, high, low, lowest, first, last, level = map(float, found.groups())
    assert 200 < at < 400
    assert low == pytest.approx(high / 2, abs=1)
    losses = rising()
    assert lowest == pytest.approx(np.median(losses[int(first) : int(last) + 1]), abs=0.005)
    assert level == pytest.approx(
        np.median(losses[round((at + 1) / 2**0.5) : int(at) + 1]), abs=0.005
    )
    assert level > lowest
    assert "It would have been lowered again at update" in text
    assert "is worth a trial" in text
    assert "The run itself reached its peak rate 0.001 at update 48" in text


def test_the_record_holds_what_the_library_says(folder, capsys):
    command = "replay bad.csv --rules default,watched --decay linear --parameters 1e6 --json"
    assert main(command.split()) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["losses"], record["updates"], record["total_steps"]) == (1000, 1000, 1000)
    assert record["peak_rate"] == 1e-3
    losses = read_logs([folder / "bad.csv"]).losses
    for row in record["rules"]:
        trace = replay(losses, row["rule"], decay="linear", parameters=1_000_000)
        lowered = [p.step for p in trace if p.status == "LOWERED"]
        assert [each["step"] for each in row["lowered"]] == lowered
        # What the rule says, before the decay: the same until warm-up ends.
        assert [each["to"] for each in row["lowered"] if each["step"] < row["warmup_end_step"]] == [
            trace[step + 1].factor for step in lowered if step < row["warmup_end_step"]
        ]
        first = next(p.step for p in trace if p.phase != "warmup")
        assert row["warmup_end_step"] == first
        assert row["first_share"] == trace[0].factor
    assert len(record["rules"][0]["lowered"]) == 2


def test_the_page_stands_alone_and_is_the_same_every_time(folder, capsys):
    for out in ("one", "two"):
        said(f"replay bad.csv --rules default,watched,none --out {out}", capsys)
    first, second = (folder / out / "report.html" for out in ("one", "two"))
    page = words(first)
    assert page.replace("--out one", "") == words(second).replace("--out two", "")
    assert_stands_alone(page, figures=1)
    record = json.loads((folder / "one" / "replay.json").read_text())
    assert findings(page) == {"replay": headline(record)}
    for word in ("The rule paced", "no forecast", "bad.csv, read as CSV", "no warm-up", "<svg"):
        assert word in page
    assert {path.name for path in (folder / "one").iterdir()} == {
        "report.html", "replay.json", "figures",
    }  # fmt: skip
    assert {path.name for path in (folder / "one" / "figures").iterdir()} == {
        "replay.svg", "replay-narrow.svg",
    }  # fmt: skip


@needs_browser
def test_the_page_fits_every_screen(folder, tmp_path, capsys):
    said("replay bad.csv --rules default,watched,untuned,none --out wide", capsys)
    assert_fits(folder / "wide" / "report.html", tmp_path)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_short_logs_are_drawn_too(folder, capsys, count):
    (folder / "short.txt").write_text(
        "\n".join(["3.0"] * (count - 1) + ["nan" if count == 1 else "3"])
    )
    text = said("replay short.txt --rules none,paced --out drawn", capsys)
    assert text.startswith("The rule none would have begun at the peak rate, whatever the loss.")


@pytest.mark.parametrize(
    "losses",
    [
        np.full(50, np.nan),
        np.full(400, 3.0),
        np.zeros(100),
        -np.arange(500.0) / 100,
        np.array([1e308, -1e308] * 100),
        np.array([np.inf, 3.0, 2.0] * 100),
        np.r_[np.full(300, 3.0), 1e12, np.full(300, 2.9)],
    ],
    ids=["nan", "constant", "zero", "negative", "huge", "infinite", "spike"],
)
@pytest.mark.parametrize("rate", [None, 0.0, np.nan, 1e-3])
def test_odd_losses_and_rates_are_replayed_and_drawn(losses, rate, tmp_path):
    log = log_of(losses, None if rate is None else np.full(len(losses), rate))
    record, traces = judged(log, ["paced", "linear 5%"])
    assert record["peak_rate"] == (1e-3 if rate == 1e-3 else None)
    assert [row["lowered"] for row in record["rules"]] == [[], []]
    assert "<svg" in write_page(tmp_path, record, log, traces).read_text()


def test_a_log_that_ends_early_and_a_run_without_an_end():
    record, _ = judged(log_of(falling(100)), ["paced"], total_steps=10_000, optimizer="lion")
    assert headline(record).startswith(
        "The rule paced would still have warmed up where the log ends, at 5.0 % of the peak rate"
    )
    assert "The log covers 100 of the 10,000 updates of the run." in sentences(record)
    record, _ = judged(log_of(falling()), ["paced"], total_steps=np.inf, optimizer="muon")
    assert record["total_steps"] is None
    assert "ended warm-up at update 299 and" in headline(record)


def test_a_rule_that_never_lowers_is_not_praised_for_it(folder, capsys):
    text = said("replay bad.csv --rules flat,none", capsys)
    assert text.startswith("The rule flat would have ended warm-up at update")
    assert "of the run), going by the loss. The losses" in text


def test_what_some_rules_have_to_know_can_be_told(folder, capsys):
    text = said("replay good.txt --rules untuned,published --beta 0.99 --kappa 100", capsys)
    assert "The rule untuned would have ended warm-up at update 199" in text


def test_a_run_without_a_finite_loss_is_not_praised_for_it():
    record, _ = judged(log_of(np.full(400, np.nan)), ["paced"])
    assert headline(record).endswith("and never lowered the rate: no loss was a finite number.")


def test_what_is_not_known_is_said():
    record, _ = judged(log_of(falling()), ["paced"])
    assert any("say --optimizer" in text for text in sentences(record))


def test_an_optimizer_of_no_known_class_is_said(folder, capsys):
    text = said("replay good.txt --optimizer mouon", capsys)
    assert "No class of optimizers is known by the name 'mouon': rules that go by it" in text
    for known in ("muon", "AdamW"):
        assert "No class" not in said(f"replay good.txt --optimizer {known}", capsys)


def test_the_help_says_what_fills_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: '')" not in text
    assert "(default: )" not in text


def test_why_has_no_answer_where_nothing_came_before():
    assert why(log_of(falling(20)), 5) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("replay", "logs: expected one file or more"),
        ("replay nowhere.csv", "nowhere.csv: expected a log, got no file or directory of that"),
        ("replay good.txt --rules best", "got 'best'"),
        ("replay good.txt --rules linear", "expected the length of a linear warm-up"),
        ("replay good.txt --rules default,paced", "'paced' twice"),
        ("replay good.txt --rules ,", "expected different rules"),
        ("replay good.txt --total-steps 10", "at least the 1000 updates"),
        ("replay good.txt --total-steps 2000 --open-end", "or --open-end, got both"),
        ("replay good.txt --open-end --rules 5%", "'linear 5%' counts shares of the run"),
        ("replay good.txt --lr -1", "lr: expected a finite rate above 0, got -1.0"),
        ("replay good.txt --parameters 0.5", "parameters to be a whole number"),
        ("replay good.txt --parameters nan", "parameters to be a whole number"),
        ("replay good.txt --decay soon", "decay to be one of"),
        ("replay good.txt --rules flat --lower-bound 99", "lower bound must lie below"),
        ("replay bad.csv --loss nll", "--loss: expected one of"),
        ("replay bad.csv --rate speed", "--rate: expected one of"),
    ],
)
def test_mistakes_get_one_sentence_and_exit_code_2(arguments, sentence, folder, capsys):
    before = sorted(folder.iterdir())
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_a_list_of_rules_has_commas_inside_brackets_too():
    assert rule_list("flat(div=50, smoothing=0.8),none") == [
        "flat(div=50.0, smoothing=0.8)",
        "none",
    ]


def test_a_million_rows_take_seconds_and_little_memory(tmp_path):
    count = 1_000_000
    losses = np.round(2.0 + 4.0 * (1.0 + np.arange(count) / 20) ** -0.4, 4).tolist()
    path = tmp_path / "long.csv"
    path.write_text("step,loss\n" + "".join(f"{k},{x}\n" for k, x in enumerate(losses)))
    began = time.process_time()
    record, traces = judged(read_logs([path], Wanted()), ["paced"])
    assert time.process_time() - began < 40  # measured: 8
    assert record["updates"] == count
    assert len(traces["paced"]) < 12_000
    path.write_text(path.read_text()[: len("step,loss\n") + 13 * 100_000])
    tracemalloc.start()
    read_logs([path])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40e6  # of some 100,000 rows, measured: 15e6
