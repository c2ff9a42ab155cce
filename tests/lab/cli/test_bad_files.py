"""Every file that a user can name, damaged: one sentence that names it, exit code 2."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from autowarmup.lab.cli import main

TINY = (
    "--recipe tiny-cpu --optimizer lion --steps 4 --batch-size 2 --sequence-length 8 "
    "--eval-batches 1 --threads 1 --checkpoint-every 2 --measure --measure-every 1"
)
TOKENS = np.arange(4000) % 200


@pytest.fixture(scope="module", autouse=True)
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "corpus.txt").write_text("".join(f"line {n} to learn from\n" for n in range(400)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOWARMUP_CACHE", str(folder / "cache"))
        yield folder / "corpus.txt"


@pytest.fixture(scope="module")
def good(tmp_path_factory, corpus):
    """A run, a measurement and a benchmark as the commands leave them."""
    folder = tmp_path_factory.mktemp("good")
    assert main(f"train {TINY} --data {corpus} --out {folder / 'run'}".split()) == 0
    assert main(f"measure --run {folder / 'run'} --out {folder / 'measured'}".split()) == 0
    stored = Path(__file__).parents[3] / "results" / "bench" / "runs"
    (folder / "bench" / "runs").mkdir(parents=True)
    shutil.copy(sorted(stored.iterdir())[0], folder / "bench" / "runs" / "one.jsonl")
    return folder


def refused(arguments: str, path: Path, words: str, capsys) -> str:
    capsys.readouterr()
    assert main(arguments.split()) == 2
    err = capsys.readouterr().err
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert str(path) in last
    assert words in last
    return err


def npy(array: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.save(path, array, allow_pickle=True)


def raw(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def half_an_array(path: Path) -> None:
    np.save(path, TOKENS)
    path.write_bytes(path.read_bytes()[:1000])


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, tokens=TOKENS)


LLM_C = np.zeros(256, np.int32)
LLM_C[:2] = 20240520, 1
DATA = {
    "negative.npy": (npy(TOKENS - 100), "got -100 at position 0"),
    "float.npy": (npy(TOKENS.astype(np.float32)), "got shape (4000,) of float32"),
    "matrix.npy": (npy(TOKENS.reshape(2, -1)), "got shape (2, 2000) of int64"),
    "truth.npy": (npy(TOKENS > 3), "of bool"),
    "objects.npy": (npy(np.array([1, None] * 99, object)), "of another kind"),
    "huge.npy": (npy(np.where(TOKENS == 5, 2**31, TOKENS)), "got 2147483648 at position 5"),
    "unsigned.npy": (npy(np.full(99, 2**64 - 1, np.uint64)), "got 18446744073709551615"),
    "cut.npy": (half_an_array, "cut or of another kind"),
    "nothing.npy": (raw(b""), "cut or of another kind"),
    "text.npy": (raw(b"hello world" * 99), "cut or of another kind"),
    "archive.npy": (archive, "got an archive of several"),
    "empty.npy": (npy(TOKENS[:0]), "got 0 from"),
    "folder.npy": (Path.mkdir, "expected at least one file"),
    "missing.npy": (lambda path: None, "an existing file or directory"),
    "odd.bin": (raw(TOKENS.astype(np.uint16).tobytes() + b"x"), "8,001 bytes"),
    "odd.uint32.bin": (raw(TOKENS.astype(np.uint32).tobytes() + b"xy"), "16,002 bytes"),
    "wide.uint32.bin": (raw(b"\xff" * 4000), "got 4294967295 at position 0"),
    "header.bin": (raw(LLM_C.tobytes() + TOKENS.astype(np.uint16).tobytes()), "header"),
    "numpy.bin": (raw(b"\x93NUMPY" + bytes(4000)), "name it .npy"),
    "empty.bin": (raw(b""), "got 0 from"),
    "null.jsonl": (raw(b'{"text": "abc"}\nnull\n'), "line 2: expected a text column"),
    "null-text.jsonl": (raw(b'{"text": null}\n'), "got null in it"),
    "number.jsonl": (raw(b"5\n"), "line 1: expected a text column"),
    "cut.jsonl": (raw(b'{"text": "abc"}\n{"te'), "line 2: expected a JSON object"),
    "deep.jsonl": (raw(b"[" * 100_000), "line 1: expected a JSON object"),
    "binary.jsonl": (raw(bytes(range(256))), "bytes that are not UTF-8"),
    "broken.parquet": (raw(b"PAR1 and nothing else"), "expected a dataset with a text column"),
    "empty.txt": (raw(b""), "got 1 from"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_data(name, tmp_path, capsys):
    path, out = tmp_path / name, tmp_path / "out"
    make, words = DATA[name]
    make(path)
    err = refused(f"train {TINY} --data {path} --out {out}", path, words, capsys)
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


def test_numbers_above_the_vocabulary_of_a_tokenizer(tmp_path, capsys):
    path = tmp_path / "tokens.npy"
    np.save(path, TOKENS + 200)
    words = "expected token numbers from 0 to 299"
    refused(
        f"train {TINY} --data {path} --tokenizer bpe:300 --out {tmp_path}/o", path, words, capsys
    )


@pytest.mark.parametrize(
    "content", [b"", b'{"version": "1.0",', b"null", b"[1]", bytes(range(256)), None]
)
def test_a_tokenizer(content, corpus, tmp_path, capsys):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    command = f"train {TINY} --data {corpus} --tokenizer {path} --out {tmp_path / 'out'}"
    refused(command, path, "a tokenizers JSON file", capsys)


NOT_JSON = {
    "cut": (b'{"format": "autowarmup', "no JSON or a cut one"),
    "empty": (b"", "an empty file"),
    "null": (b"null", "got null"),
    "list": (b"[1, 2]", "got [1, 2]"),
    "number": (b"5", "got 5"),
    "other": (b'{"a": 1}', "without"),
    "binary": (bytes(range(256)), "not text"),
    "deep": (b"[" * 100_000, "no JSON or a cut one"),
}
READERS = {
    "config of a run": ("run/config.json", "train {tiny} --out {run} --resume"),
    "config, measured": ("run/config.json", "measure --run {run} --out {out}"),
    "result of a run": ("run/result.json", "train {tiny} --out {run}"),
    "result, measured": ("run/result.json", "measure --run {run} --out {out}"),
    "measurement, drawn": ("measured/measure.json", "measure --draw --out {measured}"),
    "measurement, again": ("measured/measure.json", "measure --run {run} --out {measured}"),
    "benchmark": ("bench/runs/one.jsonl", "bench --draw --out {bench}"),
    "benchmark, run on": ("bench/runs/one.jsonl", "bench --set smoke --out {bench}"),
    "its machines": ("bench/environment.json", "bench --draw --out {bench}"),
}


def told(good: Path, folder: Path, file: str, command: str, corpus: Path) -> tuple[Path, str]:
    """Copy what the commands left, and return a file of it and the command that reads it."""
    shutil.copytree(good, folder)
    places = {name: folder / name for name in ("run", "measured", "bench", "out")}
    return folder / file, command.format(tiny=f"{TINY} --data {corpus}", **places)


@pytest.mark.parametrize("damage", NOT_JSON)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_json_of_ours(reader, damage, good, corpus, tmp_path, capsys):
    path, command = told(good, tmp_path / "w", *READERS[reader], corpus)
    content, words = NOT_JSON[damage]
    path.write_bytes(content)
    if (damage, path.name) == ("empty", "one.jsonl"):
        return  # a file without records holds none
    if path.name == "environment.json":  # the only one that is a list
        words = {"list": "whose [0] is 1", "other": 'got {"a": 1}'}.get(damage, words)
    refused(command, path, words, capsys)


def mutated(path: Path, *keys: str, value: object) -> None:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    held = inner = json.loads(lines[0])
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text("\n".join([json.dumps(held), *lines[1:]]))


DEEPER = [
    ("config of a run", "config", 5, "whose config is 5, not an object"),
    ("config of a run", "config.lr", "high", "whose config.lr is \"high\", not a number"),
    ("result of a run", "val_loss", [], "whose val_loss is [], not a number or null"),
    ("result of a run", "val_loss", None, "a finished one without val_loss"),
    ("result, measured", "command", None, "whose command is null, not a text"),
    ("measurement, drawn", "seeds", None, "whose seeds is null, not a list"),
    ("measurement, drawn", "points", [None], "whose points[0] is null, not an object"),
    ("measurement, drawn", "quantities", {"K": 5}, "got another shape"),
    ("benchmark", "val_loss", "low", "whose val_loss is \"low\", not a number or null (line 1)"),
    ("benchmark", "trace", {}, "one without trace.stretch"),
    ("benchmark", "setup", {"optimizer": "lion"}, "one without setup.lr"),
    ("benchmark", "val_curve", [None], "whose val_curve[0] is null, not a list"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "place", "value", "words"), DEEPER)
def test_another_shape_deeper_down(reader, place, value, words, good, corpus, tmp_path, capsys):
    path, command = told(good, tmp_path / "w", *READERS[reader], corpus)
    mutated(path, *place.split("."), value=value)
    refused(command, path, words, capsys)


@pytest.mark.parametrize(
    "row", ["null", "[1]", '{"step": null, "loss": 1}', '{"step": 1, "loss": null}',
            '{"step": 1, "loss": "x"}', '{"step": 1, "loss": 2.0, "K": "x"}', '{"st', ""]
)  # fmt: skip
@pytest.mark.parametrize("verb", ["measure --run {run} --out {out}", "schedule --losses {trace}"])
def test_a_trace_with_a_broken_row(row, verb, good, corpus, tmp_path, capsys):
    path, _ = told(good, tmp_path / "w", "run/trace.jsonl", "", corpus)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], row, *lines[2:]]))
    command = verb.format(run=path.parent, trace=path, out=tmp_path / "out")
    refused(command, path, "line 2: expected a JSON object with the numbers step and loss", capsys)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected a loss per update, got none"),
        (b"1.0\ntwo\n", "could not convert string to float: 'two'"),
        (bytes(range(256)), "got a file that is not text"),
        (None, "got no such file"),
    ],
)
def test_losses(content, words, tmp_path, capsys):
    path = tmp_path / "losses.txt"
    if content is not None:
        path.write_bytes(content)
    refused(f"schedule --losses {path}", path, words, capsys)


CHECKPOINTS = {
    "a list": [1],
    "weights alone": torch.nn.Linear(2, 2).state_dict(),
    "of another version": {"step": 4, "model": {}},
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.filterwarnings("ignore:resume. expected a checkpoint")
def test_a_checkpoint_of_another_kind(kind, good, corpus, tmp_path, capsys):
    path, command = told(good, tmp_path / "w", *READERS["config of a run"], corpus)
    (path.parent / "result.json").unlink()
    for step in (2, 4):
        torch.save(CHECKPOINTS[kind], path.parent / f"checkpoint-{step}.pt")
    words = "got only damaged ones (checkpoint-2.pt, checkpoint-4.pt)"
    refused(command, path.parent, words, capsys)


@pytest.mark.parametrize(
    ("part", "value"), [("model", {}), ("optimizer", {"state": {}, "param_groups": []}),
                        ("rates", {}), ("observer", {}), ("random", {"torch": torch.zeros(1)})]
)  # fmt: skip
def test_a_checkpoint_that_fits_no_further(part, value, good, corpus, tmp_path, capsys):
    path, command = told(good, tmp_path / "w", *READERS["config of a run"], corpus)
    (path.parent / "result.json").unlink()
    file = path.parent / "checkpoint-4.pt"
    torch.save({**torch.load(file, weights_only=True), part: value}, file)
    refused(command, file, "", capsys)


def test_a_trace_that_is_not_that_of_the_checkpoint(good, corpus, tmp_path, capsys):
    path, command = told(good, tmp_path / "w", *READERS["config of a run"], corpus)
    (path.parent / "result.json").unlink()
    trace = path.parent / "trace.jsonl"
    trace.write_bytes(b"x" * trace.stat().st_size)
    refused(command, trace, "got another trace", capsys)
