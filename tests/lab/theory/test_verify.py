"""The table: rows, JSON, page, terminal, command line."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.pages import assert_fits, assert_stands_alone, needs_browser, words

from autowarmup.lab.cli import main
from autowarmup.lab.theory import rules
from autowarmup.lab.theory import verify as verification
from autowarmup.lab.theory.checks.cases import Case
from autowarmup.lab.theory.families import FAMILIES
from autowarmup.lab.theory.report import Report, headline, lines, print_report
from autowarmup.lab.theory.rows import UNITS, Row, compare, merge
from autowarmup.lab.theory.verify import verify


@pytest.fixture(scope="module")
def report() -> Report:
    return verify(3, command="autowarmup theory --instances 3")


def test_no_true_statement_is_violated_and_every_false_one_is_caught(report):
    assert report.wrong == []
    numbers = report.summary()
    assert numbers["violations"] == 0
    assert numbers["caught"] == numbers["controls"] >= 20
    assert numbers["vacuous"] < 0.1 * numbers["rows"]


def test_every_statement_has_a_row(report):
    told = {row.statement.replace(":", "").split(" ")[0] for row in report.rows}
    wanted = (
        "A.0 A.1 A.1a A.1b A.1c A.1d A.2 A.3 A.4 A.5 A.6 B.1 B.2 B.3 B.4a B.4b B.4c B.4d B.5 B.6"
    )
    assert told == {*wanted.split(), "zoo", "printed"}
    assert {row.group for row in report.rows} == set(UNITS)
    norms = {
        word for row in report.rows for word in re.findall(r"\b(l2|linf|spectral)\b", row.objective)
    }
    assert norms == {"l2", "linf", "spectral"}
    assert any("tan2" in row.objective for row in report.rows if row.group == "A.3")


def test_the_shape_is_checked_on_runs_that_do_warm_up():
    case = Case.draw("ridge tan2, spectral", FAMILIES["ridge tan2, spectral"],
                     np.random.default_rng(0), 20)  # fmt: skip
    law = case.objective.law
    history = case.run(rules.gap_over_law(law, case.R), case.gap0 / 4, 100)
    warms = history.lr.max(0) > 1.2 * history.lr[0]
    assert warms.sum() >= 4
    assert np.all(case.gap0[warms] > law.peak_gap[warms])


def test_the_committed_run_is_large_and_clean():
    path = Path(__file__).parents[3] / "results" / "theory" / "theory.json"
    held = json.loads(path.read_text())
    assert held["summary"]["functions"] >= 10_000
    assert held["summary"]["violations"] == 0
    assert held["summary"]["caught"] == held["summary"]["controls"]
    assert held["environment"]
    failed = [row for row in held["rows"] if row["verdict"] == "fail"]
    assert all(row["expected_fail"] for row in failed)


def test_the_same_seed_gives_the_same_numbers(report):
    again = verification.family_rows("radial cosh, l2", 3, 0)
    held = {(row.statement, row.objective): row for row in report.rows}
    assert again
    assert all(held[row.statement, row.objective] == row for row in again)


def test_a_violated_statement_is_named(report):
    row = next(row for row in report.rows if not row.expected_fail)
    bad = dataclasses.replace(row, verdict="fail", margin=-0.5, violations=2)
    missed = dataclasses.replace(row, statement="B.1 control", expected_fail=True)
    spoiled = dataclasses.replace(report, rows=[bad, missed, *report.rows[1:]])
    assert spoiled.wrong == [bad, missed]
    text = io.StringIO()
    print_report(spoiled, Console(file=text, width=120))
    assert f"{row.statement} is violated on {row.objective}" in text.getvalue()
    assert "B.1 control was not caught" in text.getvalue()
    assert "1 of the" in headline(spoiled)


def test_the_terminal_has_a_line_for_every_statement(report):
    text = io.StringIO()
    print_report(report, Console(file=text, width=200))
    shown = text.getvalue()
    for title, group in lines(report).items():
        assert title in shown
        for line in group:
            assert line.statement in shown
            assert line.good
    assert headline(report) in " ".join(shown.split())


def test_the_page_stands_alone_and_says_what_the_rows_say(report, tmp_path):
    page = report.write(tmp_path / "new")
    text = words(page)
    assert_stands_alone(text, figures=0)
    assert text.count("<details>") == len({(r.statement, r.expected_fail) for r in report.rows})
    assert headline(report) in text
    assert "printed: " not in text
    held = json.loads((tmp_path / "new" / "theory.json").read_text())
    assert held == report.to_dict()
    fields = {"statement", "objective", "measured", "bound", "margin", "verdict", "expected_fail"}
    assert all(fields <= set(row) for row in held["rows"])
    assert {row["verdict"] for row in held["rows"]} <= {"pass", "fail", "vacuous"}
    assert words(report.write(tmp_path / "new")) == text


@needs_browser
def test_the_page_fits_every_screen(report, tmp_path):
    assert_fits(report.write(tmp_path), tmp_path)


def test_comparing_takes_the_worst_instance():
    row = compare("A.1 x", "toy", [[1.0, 2.0], [3.0, 0.0]], [2.0, 2.5])
    assert (row.measured, row.bound) == (3.0, 2.0)
    assert (row.verdict, row.violations, row.instances) == ("fail", 1, 2)
    assert compare("A.1 x", "toy", 1.0 + 1e-12, 1.0).verdict == "pass"
    assert compare("A.1 x", "toy", np.nan, 1.0).verdict == "fail"
    assert compare("A.1 x", "toy", np.inf, 1.0).verdict == "fail"
    assert compare("A.1 x", "toy", np.inf, 1.0, at_least=True).verdict == "pass"
    assert compare("A.1 x", "toy", 5.0, 1.0, silent=True).verdict == "vacuous"
    with pytest.raises(ValueError, match="expected something to compare"):
        compare("A.1 x", "toy", np.zeros(0), 1.0)


def test_merging_adds_counts_and_keeps_the_worst():
    good = compare("A.1 x", "toy", [1.0, 1.0], 2.0)
    bad = compare("A.1 x", "toy", 3.0, 2.0)
    vacuous = compare("A.1 x", "toy", 9.0, 2.0, silent=True)
    other = compare("A.1 y", "toy", 1.0, 2.0)
    merged = merge([vacuous, good, bad, other])
    assert [row.statement for row in merged] == ["A.1 x", "A.1 y"]
    assert merged[0].verdict == "fail"
    assert (merged[0].instances, merged[0].violations, merged[0].silent) == (4, 1, 1)
    assert merge([vacuous, good])[0].verdict == "pass"
    assert merge([vacuous])[0].verdict == "vacuous"


def test_the_command_prints_json_and_writes_the_page(monkeypatch, report, capsys, tmp_path):
    def small(instances, seed, command):
        return dataclasses.replace(report, instances=instances, seed=seed, command=command)

    monkeypatch.setattr(verification, "verify", small)
    assert main(["theory", "--json", "--instances", "3", "--out", str(tmp_path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["command"].startswith("autowarmup theory --json")
    assert printed["rows"] == report.to_dict()["rows"]
    assert (tmp_path / "theory.html").exists()
    assert main(["theory"]) == 0
    assert "Descent lemma" in capsys.readouterr().out


def test_the_exit_code_says_that_a_statement_is_violated(monkeypatch, report, capsys):
    bad = Row("A.1 x", "toy", 2.0, 1.0, -0.5, "fail", violations=1)
    spoiled = dataclasses.replace(report, rows=[*report.rows, bad])
    monkeypatch.setattr(verification, "verify", lambda *_, **__: spoiled)
    assert main(["theory"]) == 1
    assert "A.1 x is violated on toy" in capsys.readouterr().out


def test_nonsense_is_refused(capsys):
    assert main(["theory", "--instances", "0"]) == 2
    assert "expected at least 1 instance" in capsys.readouterr().err
    with pytest.raises(ValueError, match="expected a seed >= 0"):
        verify(1, -1)
