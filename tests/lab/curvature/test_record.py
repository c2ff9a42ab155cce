from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autowarmup.history import Point, Trace
from autowarmup.lab.curvature.measure import read_run, run_record
from autowarmup.lab.curvature.record import build_record, read_record, write_record
from autowarmup.lab.train.config import TrainConfig

Record = dict[str, Any]
Traces = dict[str, Callable[..., Trace]]


def test_a_record_holds_what_the_contract_names(
    traces: Traces, make_record: Callable[..., Record]
) -> None:
    trace = traces["muon"]()
    record = make_record(trace)
    assert record["format"] == "autowarmup-measure-2"
    assert {"command", "source", "label", "config", "environment", "seeds", "lower_bound", "norm",
            "counted", "determinism", "points", "fits", "slope", "window", "verdict",
            "sentence", "quantities"} <= set(record)  # fmt: skip
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert len(record["points"]) == len(record["next_points"]) == 100
    assert all("K" in p for p in record["points"])
    assert all("K_next" in p and "K" not in p for p in record["next_points"])
    first = record["fits"][0]
    assert (first["quantity"], first["constraint"], first["rho"]) == ("K", "non_negative", 2.0)
    assert first["rho_searched"] is False
    assert {"K0", "K1", "K_rho", "r_squared", "interval", "window", "pairing"} <= set(first)
    assert set(record["quantities"]) == {"K", "K_dir", "K_next"}
    assert record["verdict"] == record["quantities"]["K"]["verdict"]
    assert record["slope"]["p"] < 0


def test_an_object_is_about_the_hessian(
    traces: Traces, make_record: Callable[..., Record], object_about: Record
) -> None:
    record = make_record(traces["object"](), **object_about)
    assert next(iter(record["quantities"])) == record["fits"][0]["quantity"] == "H"
    straight = [
        law for law in record["fits"] if law["quantity"] == "H" and "K_rho" not in law["terms"]
    ]
    assert {law["constraint"] for law in straight} == {"non_negative", "free"}
    assert straight[0]["K0"] == pytest.approx(3, rel=0.6)
    assert straight[0]["K1"] == pytest.approx(40, rel=0.2)


def test_what_is_not_finite_becomes_null_and_is_not_fitted(
    traces: Traces, make_record: Callable[..., Record]
) -> None:
    record = make_record(traces["diverging"]())
    json.dumps(record, allow_nan=False)
    assert record["points"][-1]["K"] is None
    assert record["points"][-1]["loss"] is None


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_points_still_make_a_record(make_record: Callable[..., Record], count: int) -> None:
    record = make_record(Trace(Point(step=s, loss=5.0 - s, K=9.0) for s in range(count)))
    assert (record["verdict"], record["fits"], record["slope"]) == ("not determined", [], None)
    assert str(count) in record["sentence"]
    assert record["not_fitted"].keys() == {"K"}


def test_a_second_quantity_with_too_few_points_is_named(
    make_record: Callable[..., Record],
) -> None:
    trace = Trace(
        Point(step=s, loss=5 - 0.1 * s, K=10.0 + s, H=1.0 if s < 2 else None) for s in range(20)
    )
    record = make_record(trace)
    assert set(record["quantities"]) == {"K"}
    assert set(record["not_fitted"]) == {"H"}


def test_nothing_measured_is_a_mistake(make_record: Callable[..., Record]) -> None:
    trace = Trace([Point(step=0, loss=1.0)])
    with pytest.raises(ValueError, match="expected points with the curvature K, got none among 1"):
        make_record(trace)
    with pytest.raises(ValueError, match="Hessian norm H, got none"):
        make_record(Trace([Point(step=0, loss=1.0, K=1.0)]), main="H")
    with pytest.raises(ValueError, match="lower_bound: expected a finite number"):
        make_record(trace, lower_bound=math.nan)


def test_writing_and_reading(
    traces: Traces, make_record: Callable[..., Record], tmp_path: Path
) -> None:
    record = make_record(traces["lion"](steps=200))
    assert write_record(tmp_path / "new", record) == tmp_path / "new" / "measure.json"
    assert read_record(tmp_path / "new") == record
    with pytest.raises(ValueError, match=r"expected measured curvature in .*, got no such file"):
        read_record(tmp_path)
    for text in ("[1]", '{"format": "other"}', "{"):
        (tmp_path / "measure.json").write_text(text)
        with pytest.raises(ValueError, match=r"measure\.json: expected measured curvature, got"):
            read_record(tmp_path)


def fill_run(directory: Path, trace: Trace, **result: Any) -> Path:
    """What `autowarmup train` leaves behind."""
    directory.mkdir()
    config = TrainConfig(optimizer="muon", rule="linear 5%", steps=1000)
    held = {"format": "autowarmup-run-1", "config": config.to_dict()}
    (directory / "config.json").write_text(json.dumps(held))
    trace.write(directory / "trace.jsonl")
    values = {"status": "finished", "command": config.command(str(directory)), **result}
    (directory / "result.json").write_text(json.dumps(values))
    return directory


def test_a_finished_run_is_read(traces: Traces, tmp_path: Path) -> None:
    measure = {"norm": "spectral", "counted": {"parameters": 5}, "determinism": {"loss": 0.0}}
    run = fill_run(
        tmp_path / "run", traces["muon"](), measure=measure, environment={"torch": "2.13"}
    )
    config, _, trace = read_run(run)
    assert (len(trace), config["optimizer"]) == (1000, "muon")
    record = run_record(run, command="autowarmup measure")
    assert (record["label"], record["norm"]) == (
        "Muon, tiny-cpu, lr 0.006, linear 5 %",
        "spectral",
    )
    assert record["source"]["kind"] == "run"
    assert record["source"]["train_command"].startswith("autowarmup train")
    assert record["environment"] == {"torch": "2.13"}
    assert record["counted"] == {"parameters": 5}


def test_a_run_without_measurements_says_what_to_do(tmp_path: Path) -> None:
    run = fill_run(tmp_path / "run", Trace(Point(step=s, loss=1.0) for s in range(7)))
    with pytest.raises(ValueError, match="none of its 7 points with K") as caught:
        read_run(run)
    said = str(caught.value)
    assert "expected one trained with --measure" in said
    assert f"--measure --out {run}-measured" in said
    assert said.count("--out") == 1


def test_other_directories_are_refused(traces: Traces, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected the directory of a run .* got another"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match="got none"):
        read_run(tmp_path / "nowhere")
    run = fill_run(tmp_path / "run", traces["muon"]())
    (run / "result.json").unlink()
    with pytest.raises(ValueError, match="expected a run that has ended"):
        read_run(run)


def test_the_environment_is_this_process_by_default() -> None:
    trace = Trace(Point(step=s, loss=5.0 - 0.1 * s, K=10.0 + s) for s in range(10))
    record = build_record(
        trace, source={"kind": "train"}, label="x", config={}, lower_bound=0.0, norm="linf",
        counted=None, determinism=None, command="x", seeds=(1, 2),
    )  # fmt: skip
    assert "torch" in record["environment"]
    assert record["seeds"] == [1, 2]


def test_a_record_of_the_first_format_is_read_in_the_words_of_this_one(tmp_path: Path) -> None:
    first = {
        "format": "autowarmup-measure-1",
        "f_star": 0.5,
        "verdict": "rises",
        "source": {"kind": "object", "f_star_source": "known"},
        "points": [{"step": 0, "loss": 3.0, "K": 1.0, "f_star": 0.5}],
        "quantities": {
            "K": {"verdict": "falls", "f_star": 0.5},
            "H": {"verdict": "flat"},
            "K_dir": {"verdict": "not determined"},
        },
    }
    (tmp_path / "measure.json").write_text(json.dumps(first))
    record = read_record(tmp_path)
    assert record["format"] == "autowarmup-measure-2"
    assert record["lower_bound"] == record["points"][0]["lower_bound"] == 0.5
    assert record["source"]["lower_bound_source"] == "known"
    # The first format spoke of the gap as it rises.
    assert record["verdict"] == "falls"
    assert [fit["verdict"] for fit in record["quantities"].values()] == [
        "rises",
        "level",
        "not determined",
    ]
    assert "f_star" not in json.dumps(record)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
