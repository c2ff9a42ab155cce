"""`autowarmup schedule`: ramp, plateau and decay of every rule, along any log."""

from __future__ import annotations

import json

import pytest

from autowarmup.lab.cli import main
from autowarmup.rules import RULES, Linear, rule_of


def values(arguments: list[str], capsys) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "h0h1"])
def test_wsd_has_a_plateau_and_every_update_lies_in_one_stretch(rule, capsys):
    shown = values(["schedule", "--rule", rule, "--steps", "4000", "--decay", "wsd"], capsys)
    parts, rates = shown["stretches"], shown["rates"]
    assert [p["what"] for p in parts][-2:] == ["plateau", "decay"]
    assert [at for p in parts for at in range(p["first"], p["last"] + 1)] == list(range(4000))
    plateau, decay = parts[-2:]
    assert plateau["first"] == shown["warmup_end_step"]
    assert len(set(rates[plateau["first"] : plateau["last"] + 1])) == 1
    assert rates[decay["first"]] < rates[decay["first"] - 1]


@pytest.mark.parametrize(("rule", "lr"), [("paced", 6e-3), ("linear 20 steps", 6e-3)])
def test_a_decay_that_is_asked_for_late(rule, lr, capsys):
    command = ["schedule", "--rule", rule, "--steps", "1000", "--decay", "linear"]
    shown = values([*command, "--decay-after", "800"], capsys)
    ramp, plateau, decay = shown["stretches"]
    assert ramp["last"] + 1 == plateau["first"] == shown["warmup_end_step"]
    assert (decay["first"], decay["last"]) == (801, 999)  # the first of the decay is at the peak
    assert shown["rates"][plateau["first"] : 801] == [lr] * (801 - plateau["first"])
    assert shown["rates"][900] == pytest.approx(lr / 2)


def test_the_default_paces_by_the_tokens_of_a_run_of_any_size(capsys):
    rule = "paced(tokens_per_update=500000)"
    command = ["schedule", "--rule", rule, "--optimizer", "muon", "--steps", "20000"]
    shown = values([*command, "--parameters", "1.3e9"], capsys)
    assert shown["warmup_end_step"] == round(0.3 * 1.3e9 / 500_000) - 1
    assert main([*command, "--parameters", "0.5"]) == 2
    assert "parameters to be a whole number, got 0.5" in capsys.readouterr().err


def test_the_words_name_the_stretches(capsys):
    assert main(["schedule", "--rule", "linear 10%", "--steps", "100", "--decay", "constant"]) == 0
    assert "Updates: ramp 0 to 8, plateau 9 to 99." in capsys.readouterr().out
    assert main(["schedule", "--rule", "none", "--steps", "100"]) == 0
    assert "Updates: decay 0 to 99." in capsys.readouterr().out


def test_losses_of_any_log(tmp_path, capsys):
    rows = [f"{k},{4 - 0.01 * k + 2 * max(0, k - 50) / 50:.4f}\n" for k in range(0, 300, 2)]
    log = tmp_path / "log.csv"
    log.write_text("step,train/loss\n" + "".join(rows))
    figure = tmp_path / "rates.png"
    command = ["schedule", "--losses", str(log), "--figure", str(figure)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "the rate is lowered" in text
    assert str(log) in text.replace("\n", "")
    assert figure.stat().st_size > 10_000
    assert len(values(["schedule", "--losses", str(log)], capsys)["rates"]) == 299


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--decay-after", "200"], "decay_after: expected 0 to 199 updates, got 200"),
        (["--decay-after", "100", "--rule", "linear 5%"], "counts shares of the run"),
    ],
)
def test_mistakes_get_one_sentence(arguments, sentence, capsys):
    assert main(["schedule", "--steps", "200", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1


def test_the_ramp_of_the_picture_is_that_of_the_rule(capsys):
    shown = values(["schedule", "--rule", "linear 5%", "--steps", "200"], capsys)
    rule = rule_of("linear 5%")
    assert isinstance(rule, Linear)
    assert shown["rates"][:10] == pytest.approx([6e-3 * (k + 1) / 10 for k in range(10)])


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_bars_fit_a_narrow_terminal(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["schedule", "--rule", "linear 10%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    bars = [line for line in lines if "█" in line]
    assert len(bars) == 18
    assert max(map(len, lines)) <= width
    assert lines[-18:] == bars  # none is broken
