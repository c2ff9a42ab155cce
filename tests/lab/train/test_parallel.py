"""One run in several processes: the same numbers, whatever ends one of them.

`parallel_runs` makes the runs, gloo between forked processes; what is measured stands beside each
tolerance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autowarmup.history import Trace
from autowarmup.lab.train import TrainConfig
from autowarmup.lab.train.checkpoint import checkpoints
from autowarmup.lab.train.train import train

SCRIPT = Path(__file__).with_name("parallel_runs.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("parallel")
    corpus = root / "corpus.txt"
    corpus.write_text("".join(f"line {n} of a text to learn from\n" for n in range(400)))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), str(root), str(corpus)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "AUTOWARMUP_CACHE": str(root / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return root


def ends(root: Path, name: str) -> list[tuple[int, str]]:
    return [(code, text) for code, text in json.loads((root / "ends.json").read_text())[name]]


def result(root: Path, name: str) -> dict:
    return json.loads((root / name / "result.json").read_text())


def columns(root: Path, name: str) -> dict[str, list[float]]:
    trace = Trace.read(root / name / "trace.jsonl")
    return {key: trace.column(key) for key in ("step", "lr", "loss", "grad_norm")}


@pytest.mark.parametrize(("way", "count"), [("ddp", 4), ("fsdp", 4)])
def test_four_processes_train_tiny_cpu_as_one_does(runs, way, count):
    assert ends(runs, f"tiny-{way}") == [(0, "")] * count
    record, alone = result(runs, f"tiny-{way}"), result(runs, "tiny-one")
    assert (record["parallel"], record["processes"]) == (way, count)
    assert record["replicas_agree"] is True
    assert "processes" not in alone
    assert record["parameters"] == alone["parameters"]
    one, several = columns(runs, "tiny-one"), columns(runs, f"tiny-{way}")
    # The rate follows the loss at these updates. Measured, the largest of 24 updates: rate
    # 7.1e-8 relative, loss 4.8e-7 (one rounding of float32 at 5.5), gradient norm 7.6e-7 relative.
    assert len({*one["lr"]}) > 20
    assert several["step"] == one["step"]
    assert several["lr"] == pytest.approx(one["lr"], rel=1e-6)
    assert several["loss"] == pytest.approx(one["loss"], abs=5e-6)
    assert several["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
    assert record["val_loss"] == pytest.approx(alone["val_loss"], abs=5e-6)


def test_the_first_rate_is_measured_on_the_whole_batch(runs):
    assert ends(runs, "adamw-ddp") == [(0, "")] * 2
    measured = [result(runs, name)["div"] for name in ("adamw-one", "adamw-ddp")]
    assert measured[0] > 1.0
    assert measured[1] == pytest.approx(measured[0], rel=1e-6)


def test_clipping_goes_by_the_norm_over_all_shards_and_micro_batches(runs):
    one, several = columns(runs, "normsgd-one"), columns(runs, "normsgd-fsdp")
    assert min(one["grad_norm"]) > 0.05  # clipped at each update
    assert several["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)  # measured 2.7e-7
    assert several["loss"] == pytest.approx(one["loss"], abs=5e-6)  # measured 4.8e-7


def test_muon_in_shards(runs):
    assert ends(runs, "muon-fsdp") == [(0, "")] * 2
    one, several = columns(runs, "muon-one"), columns(runs, "muon-fsdp")
    # Newton-Schulz in bfloat16 enlarges roundings: measured 2.3e-5 in the loss, 4.4e-5 in the rate.
    assert several["loss"] == pytest.approx(one["loss"], abs=1e-3)
    assert several["lr"] == pytest.approx(one["lr"], rel=1e-3)


@pytest.mark.parametrize(("way", "killed"), [("ddp", 0), ("fsdp", 1)])
def test_a_killed_process_ends_the_run_which_then_resumes_bit_for_bit(runs, way, killed):
    *first, second, third = ends(runs, f"killed-{way}")
    assert first[killed] == (-9, "")
    code, sentence = first[1 - killed]
    assert code == 3
    assert sentence.startswith(
        f"ConnectionError: process {1 - killed} of 2 stopped, because another one has ended or "
        "cannot be reached; what was saved is intact, go on with the same command and --resume ("
    )
    assert "\n" not in sentence
    assert second == third == (0, "")
    traces = [
        (runs / name / "trace.jsonl").read_bytes() for name in (f"lion-{way}", f"killed-{way}")
    ]
    assert traces[0] == traces[1]
    whole, resumed = result(runs, f"lion-{way}"), result(runs, f"killed-{way}")
    assert whole["weights_sha256"] == resumed["weights_sha256"]
    assert resumed["replicas_agree"] is True


def test_one_told_to_end_stops_all_after_the_same_update_and_any_number_goes_on(runs):
    stopped, other, resumed = ends(runs, "moved")
    assert stopped == other
    assert stopped[0] == 3
    assert stopped[1].startswith("KeyboardInterrupt: stopped after 14 of 20 updates")
    assert stopped[1].endswith("--resume")
    assert resumed == (0, "")  # in one process, from what two with shards had saved
    assert "processes" not in result(runs, "moved")
    one, several = columns(runs, "lion-fsdp"), columns(runs, "moved")
    assert several["step"] == list(range(20))
    # Signs of entries near zero may differ: measured 0.
    assert several["loss"] == pytest.approx(one["loss"], abs=1e-2)


def test_a_full_disk_is_known_to_all_and_costs_no_checkpoint(runs):
    for code, sentence in ends(runs, "full"):
        assert code == 3
        assert sentence.startswith("OSError: could not write")
        assert "No space left on device" in sentence
    (kept,) = checkpoints(runs / "full")
    assert torch.load(kept, weights_only=True)["step"] == 5
    assert not list((runs / "full").glob("*.tmp-*"))


def test_mistakes_are_known_to_all(runs):
    for code, sentence in ends(runs, "foreign"):
        assert code == 3
        assert "expected an empty directory or one made by autowarmup" in sentence
    assert [path.name for path in (runs / "foreign").iterdir()] == ["thesis.tex"]
    for end in ends(runs, "refused"):
        assert end == (3, "ValueError: parallel: expected ddp or fsdp for 2 processes, got none")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"parallel": "ddp"}, "ddp needs several processes; expected torchrun --nproc-per-node N"),
        ({"parallel": "mesh"}, "expected one of auto, none, ddp, fsdp, got 'mesh'"),
    ],
)
def test_one_process_refuses_what_needs_several(micro, tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(TrainConfig(**micro, **options), out=tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"measure": True}, "measured on whole weights; expected --parallel ddp, got fsdp"),
        ({"mixed_precision": "fp16"}, "expected no or bf16 with --parallel fsdp, got fp16"),
        ({"rule": "flat"}, "expected --no-calibrate or --parallel ddp, got fsdp"),
    ],
)
def test_what_shards_cannot_do_is_refused(micro, tmp_path, monkeypatch, options, sentence):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = TrainConfig(parallel="fsdp", **micro, **options)
    with pytest.raises(ValueError, match=sentence):
        train(config, out=tmp_path / "run", progress=False)
