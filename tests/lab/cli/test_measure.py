"""`autowarmup measure` as a user types it: train and measure, read a run, an object."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from autowarmup.lab.cli import main
from autowarmup.lab.curvature import read_record
from autowarmup.lab.train.run import Run

TINY = (
    "--recipe tiny-cpu --optimizer lion --lr 1e-3 --steps 12 --batch-size 2 --sequence-length 8 "
    "--eval-batches 1 --threads 1"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("measure")


@pytest.fixture(scope="module", autouse=True)
def corpus(folder):
    path = folder / "corpus.txt"
    path.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_CACHE", str(folder / "cache"))
        yield path


@pytest.fixture(scope="module")
def trained(folder, corpus):
    """A run of 12 updates, every second one measured."""
    out = folder / "trained"
    arguments = f"train {TINY} --measure --measure-every 2 --data {corpus} --out {out}"
    assert main(arguments.split()) == 0
    return out


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the page out where it is not what a test is about."""
    monkeypatch.setattr("autowarmup.lab.curvature.measure.page", read_record)


def run(arguments, capsys):
    code = main(arguments.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def read(out):
    return json.loads((out / "measure.json").read_text())


def test_it_trains_and_leaves_fits_and_a_page(corpus, tmp_path, capsys):
    out = tmp_path / "measured"
    arguments = f"measure {TINY} --every 1 --data {corpus} --out {out}"
    code, printed, _ = run(arguments, capsys)
    assert code == 0
    record = read(out)
    assert [point["step"] for point in record["points"]] == list(range(12))
    assert record["norm"] == "linf"
    assert record["command"] == f"autowarmup {arguments}"
    assert record["source"]["kind"] == "train"
    assert record["verdict"] in ("rises", "falls", "level", "not determined")
    for fit in record["fits"]:
        assert {"K0", "K1", "K_rho", "rho", "r_squared", "interval"} <= set(fit)
    assert record["fits"][0]["K0"] >= 0
    assert any(point.get("K_noise") for point in record["points"])  # on unless switched off
    page = (out / "measure.html").read_text()
    assert record["sentence"].split()[0] in page
    assert "<svg" in page
    assert "measure.html" in printed.replace("\n", "")


def test_adamw_is_measured_by_the_largest_entry_and_the_page_says_so(corpus, tmp_path, capsys):
    out = tmp_path / "measured"
    tiny = TINY.replace("--optimizer lion", "--optimizer adamw")
    code, _, _ = run(f"measure {tiny} --every 1 --data {corpus} --out {out}", capsys)
    assert code == 0
    record = read(out)
    assert record["norm"] == "linf"
    words = "AdamW has no norm of its own: its steps move every entry by about the rate"
    assert record["counted"]["about"].startswith(words)
    assert words in (out / "measure.html").read_text()


def test_the_same_command_goes_on_where_it_stopped(corpus, tmp_path, capsys, monkeypatch, undrawn):
    update = Run.update

    def dying(self):
        if self.step == 9:
            raise OSError("power cut")
        return update(self)

    def measure(out):
        return run(
            f"measure {TINY} --every 2 --data {corpus} --checkpoint-every 4 --out {out}", capsys
        )

    assert measure(tmp_path / "whole")[0] == 0
    monkeypatch.setattr(Run, "update", dying)
    assert measure(tmp_path / "cut")[0] == 2
    monkeypatch.setattr(Run, "update", update)
    assert measure(tmp_path / "cut")[0] == 0
    whole, cut = read(tmp_path / "whole"), read(tmp_path / "cut")
    assert cut["points"] == whole["points"]
    assert cut["fits"] == whole["fits"]


def test_a_finished_run_is_read(trained, tmp_path, capsys):
    code, _, _ = run(f"measure --run {trained} --out {tmp_path / 'read'}", capsys)
    assert code == 0
    record = read(tmp_path / "read")
    assert record["source"]["kind"] == "run"
    assert len(record["points"]) == 6


def test_a_finished_run_without_measurements_gets_one_sentence(corpus, tmp_path, capsys):
    trained = tmp_path / "trained"
    assert run(f"train {TINY} --data {corpus} --out {trained}", capsys)[0] == 0
    code, _, err = run(f"measure --run {trained} --out {tmp_path / 'read'}", capsys)
    assert code == 2
    assert "expected one trained with --measure, got none of its 12 points with K" in err
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--every 0", "measure_every: expected at least 1, got 0"),
        ("--run nowhere", "expected the directory of a run"),
        (
            "--run a --object b",
            "expected one of --run, --object and --draw, got --run and --object",
        ),
        (
            "--run a --norm linf",
            "no training options but --lower-bound, got --norm",
        ),
        ("--object deep-linear --lr 1", "--object: expected no training options but --steps"),
        ("--object cube", "expected one of deep-linear"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(corpus, tmp_path, capsys, arguments, sentence):
    extra = "" if "--run" in arguments or "--object" in arguments else f"{TINY} --data {corpus}"
    code, _, err = run(f"measure {extra} {arguments} --out {tmp_path / 'out'}", capsys)
    assert code == 2
    assert err.lstrip().startswith("error: ")
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_other_files_are_not_written_over(corpus, tmp_path, capsys):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    code, _, err = run(f"measure {TINY} --data {corpus} --out {out}", capsys)
    assert code == 2
    assert "expected an empty directory or one made by this command" in err
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_an_object_is_measured_every_so_often(tmp_path, capsys, undrawn):
    out = tmp_path / "object"
    arguments = f"measure --object two-layer-ce --steps 11 --every 10 --out {out}"
    assert run(arguments, capsys)[0] == 0
    record = read(out)
    assert [point["step"] for point in record["points"]] == [0, 10]
    assert record["main"] == "H"
    code, _, err = run(arguments.replace("--every 10", "--every 5"), capsys)
    assert code == 2
    assert "expected an empty directory or one with the same measurement" in err


def test_a_run_can_be_fitted_with_another_lower_bound(trained, tmp_path, capsys, undrawn):
    out = tmp_path / "read"
    assert run(f"measure --run {trained} --lower-bound 0.5 --out {out}", capsys)[0] == 0
    assert read(out)["lower_bound"] == 0.5
    assert read(out)["quantities"]["K"]["lower_bound"] == 0.5
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    code, _, err = run(f"measure --run {other} --out {out}", capsys)
    assert code == 2
    assert "out: expected the measurement of" in err


def test_a_file_in_the_way(corpus, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    code, _, err = run(f"measure {TINY} --data {corpus} --out {tmp_path / 'out'}", capsys)
    assert code == 2
    assert "out: expected a directory, got the file" in err


def test_an_interruption_names_the_command_that_goes_on(corpus, tmp_path, capsys, monkeypatch):
    def stopping(*_, **__):
        raise KeyboardInterrupt("stopped after 3 of 12 updates; go on with: autowarmup train")

    monkeypatch.setattr("autowarmup.lab.curvature.measure.train", stopping)
    arguments = f"measure {TINY} --data {corpus} --out {tmp_path / 'out'}"
    code, _, err = run(arguments, capsys)
    assert code == 130
    assert err.strip() == f"stopped after 3 of 12 updates; go on with: autowarmup {arguments}"


def test_the_page_of_a_stored_record_is_built_again(tmp_path, capsys):
    stored = Path(__file__).parents[3] / "results" / "curvature" / "object-deep-linear"
    out = tmp_path / "copy"
    shutil.copytree(stored, out, ignore=shutil.ignore_patterns("figures", "*.html"))
    held = (out / "measure.json").read_bytes()
    code, printed, _ = run(f"measure --draw --out {out}", capsys)
    assert code == 0
    assert "As the gap falls during training, H falls" in " ".join(printed.split())
    assert "As the gap falls during training, H falls" in (out / "measure.html").read_text()
    assert (out / "measure.json").read_bytes() == held
    code, _, err = run(f"measure --draw --out {tmp_path / 'nowhere'}", capsys)
    assert code == 2
    assert "expected measured curvature in" in err
    code, _, err = run(f"measure --draw --lr 1 --out {out}", capsys)
    assert code == 2
    assert "--draw: expected no training options, got --lr" in err
