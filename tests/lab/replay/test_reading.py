"""Logs as the tools write them, and as people leave them."""

from __future__ import annotations

import gzip
import json
import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autowarmup import Point, Trace
from autowarmup.lab.replay.columns import Wanted
from autowarmup.lab.replay.log import Log
from autowarmup.lab.replay.order import latest
from autowarmup.lab.replay.read import read_logs

LOSSES = [4.0, 3.5, 3.25, 3.0, 2.875, 2.75, 2.5, 2.25]


def read(path: Path, text: str = "", **wanted: str) -> Log:
    if text:
        path.write_text(text)
    return read_logs([path], Wanted(**wanted))


def rows(log: Log) -> list[tuple[int, float]]:
    return list(zip(log.steps.tolist(), log.losses.tolist(), strict=True))


EVERY = list(enumerate(LOSSES))


# -- written by the real libraries ---------------------------------------------------------------


class Given(torch.nn.Module):
    """A model whose loss is what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": loss.mean() + 0.0 * self.weight.sum()}


def test_the_state_of_a_trainer(tmp_path):
    from transformers import Trainer, TrainingArguments

    data = [{"loss": torch.tensor(loss, dtype=torch.float64)} for loss in LOSSES]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=8, logging_steps=2, save_steps=4, eval_steps=4,
        eval_strategy="steps", per_device_train_batch_size=1, per_device_eval_batch_size=1,
        train_sampling_strategy="sequential", report_to="none", use_cpu=True, disable_tqdm=True,
        learning_rate=0.5, lr_scheduler_type="linear", max_grad_norm=0.0,
    )  # fmt: skip
    Trainer(Given(), arguments, train_dataset=data, eval_dataset=data).train()  # type: ignore[arg-type]
    log = read(tmp_path)  # the newest of checkpoint-4 and checkpoint-8
    assert rows(log) == [(1, 3.75), (3, 3.125), (5, 2.8125), (7, 2.375)]
    assert log.total == 8
    assert log.rates is not None
    assert log.rates.tolist() == pytest.approx([0.4375, 0.3125, 0.1875, 0.0625])
    columns = ("step", "loss", "learning_rate")
    assert log.sources == ((tmp_path.name, "the Trainer's state", columns),)
    assert any("no training loss" in note for note in log.notes)
    assert any("every 2 updates" in note for note in log.notes)


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_the_csv_of_lightning(tmp_path):
    import lightning as L
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            loss = batch.mean() + 0.0 * self.weight.sum()
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch: torch.Tensor, index: int) -> None:
            self.log("val_loss", batch.mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.25)

    batches = torch.utils.data.DataLoader(torch.tensor(LOSSES), batch_size=1)
    trainer = L.Trainer(
        max_steps=8, logger=CSVLogger(tmp_path), log_every_n_steps=1, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        callbacks=[LearningRateMonitor("step")], default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Module(), batches, batches)
    log = read(tmp_path)  # lightning_logs/version_0/metrics.csv
    assert rows(log) == EVERY
    assert log.rates is not None
    assert log.rates.tolist() == [0.25] * 8


@pytest.mark.parametrize("new_style", [False, True])
def test_event_files_of_tensorboard(tmp_path, new_style):
    from torch.utils.tensorboard import SummaryWriter

    for first in (0, 3):  # stopped after update 4, resumed from a checkpoint at 3
        with SummaryWriter(tmp_path / "runs" / "one", filename_suffix=f".{first}") as writer:
            for k in range(first, 5 if first == 0 else 8):
                loss = LOSSES[k] + (k >= 3 and first == 0)
                writer.add_scalar("train/loss", loss, k, new_style=new_style)
                writer.add_scalar("train/learning_rate", k / 8, k, new_style=new_style)
                writer.add_scalar("eval/loss", 9.0, k, new_style=new_style)
                writer.add_text("note", "no number", k)
    log = read(tmp_path)
    assert rows(log) == EVERY
    assert log.rates is not None
    assert log.rates.tolist() == [k / 8 for k in range(8)]
    assert log.notes == (
        "The steps go back to 3: what was logged from there on before is replaced, 2 losses in "
        "all.",
    )
    (events,) = sorted(tmp_path.rglob("*.3"))
    cut = tmp_path / "events.out.tfevents.cut"
    cut.write_bytes(events.read_bytes()[:-7])  # while it is written
    assert rows(read(cut)) == EVERY[3:7] + EVERY[7:]


def test_a_database_of_trackio(tmp_path, monkeypatch):
    """By the real library where it is installed; its table is the same in the next test."""
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    monkeypatch.setattr("trackio.utils.TRACKIO_DIR", tmp_path)
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path)
    trackio.init(project="mine", name="one")
    for k, loss in EVERY:
        trackio.log({"train/loss": loss, "train/learning_rate": k / 8})
    trackio.finish()
    assert rows(read(tmp_path / "mine.db")) == EVERY


def trackio_like(path: Path, *runs: str) -> None:
    """Write the table of trackio 0.43, whose rows are bytes."""
    with sqlite3.connect(path) as base:
        base.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, "
            "timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, "
            "metrics TEXT NOT NULL, log_id TEXT, space_id TEXT)"
        )
        for run in runs:
            for k, loss in EVERY:
                row = json.dumps({"train/loss": loss if k != 2 else "NaN"}).encode()
                base.execute(
                    "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) "
                    "VALUES ('1', 'now', ?, ?, ?)",
                    (run, k, row),
                )
    base.close()


def test_a_database_as_trackio_writes_it(tmp_path):
    trackio_like(tmp_path / "mine.db", "one", "two")
    log = read(tmp_path / "mine.db", run="two")
    assert [step for step, _ in rows(log)] == list(range(8))
    assert math.isnan(log.losses[2])
    assert log.notes == ("1 loss is no number and counts as not seen.",)


def test_traces_of_this_library(tmp_path):
    path = tmp_path / "trace.jsonl"
    Trace(Point(k, loss, lr=k / 8, phase="warmup") for k, loss in EVERY).write(path)
    whole = path.read_text()
    path.write_text(whole[:-5])  # the last line is half-written
    log = read(tmp_path)
    assert rows(log) == EVERY[:-1]
    assert log.rates is not None
    assert log.rates.tolist() == [k / 8 for k in range(7)]


# -- as they are documented ----------------------------------------------------------------------

WANDB = """"Step","test-3 - train/loss","test-3 - train/loss__MIN","test-3 - train/loss__MAX"
"0","4","4","4"
"2","3.25","3.25","3.25"
"""
TEXTS = {
    "plain": "starting\nstep 0 loss 4.0\nstep 1 loss 3.5\nsaved step 1\n",
    "nanogpt": (
        "number of parameters: 10.65M\nstep 0: train loss 4.2, val loss 4.3\n"
        "iter 0: loss 4.0000, time 33.5ms, mfu -100.00%\n"
        "iter 1: loss 3.5000, time 12.1ms, mfu 3.20%\n"
    ),
    "modded-nanogpt": (
        "step:0/2 val_loss:10.8258 train_time:0ms step_avg:nanms\n"
        "step:0/2 train_loss:4.0000 train_time:212ms step_avg:nanms\n"
        "step:1/2 train_loss:3.5000 train_time:319ms step_avg:nanms\n"
    ),
    "llm.c": (
        "step    1/2 | loss 4.000000 (+nanz)| norm 15.3 (+nanz)| lr 1.00e-03 | 900 ms\n"
        "step    2/2 | loss 3.500000 (+nanz)| norm 14.1 (+nanz)| lr 2.00e-03 | 890 ms\n"
        "val loss 3.4\n"
    ),
    "megatron": (
        " iteration        1/       2 | consumed samples: 8 | learning rate: 1.000E-03 | lm loss: "
        "4.000000E+00 | loss scale: 1.0 | grad norm: 1.2 |\n"
        " iteration        2/       2 | consumed samples: 16 | learning rate: 2.000E-03 | lm loss: "
        "3.500000E+00 | loss scale: 1.0 | grad norm: 1.1 |\n"
    ),
    "the Trainer's dicts": (
        "{'loss': '4.0', 'grad_norm': '1.1', 'learning_rate': '0.001', 'epoch': '0.1'}\n"
        "{'eval_loss': '9.0', 'epoch': '0.1'}\n"
        "{'loss': '3.5', 'grad_norm': '1.1', 'learning_rate': '0.002', 'epoch': '0.2'}\n"
        "{'train_runtime': '3.2', 'train_loss': '3.7', 'epoch': '0.2'}\n"
    ),
    "tqdm": (
        "  0%|   | 0/2 [00:00<?, ?it/s, loss=4.0]\r 50%|#  | 1/2 [00:01<00:01, 1it/s, loss=3.5]\r"
    ),
    "several losses": (
        "Epoch [1/2], Step [0/2], aux_loss: 0.1, Loss: 4.0\n"
        "Epoch [1/2], Step [1/2], aux_loss: 0.1, Loss: 3.5\n"
    ),
    "a number a line": "4.0\n3.5\n",
    "two numbers a line": "0, 4.0\n1, 3.5\n",
    "colours": "step \x1b[32m0\x1b[0m loss: \x1b[1m4.0\x1b[0m\nstep 1 loss: \x1b[1m3.5\x1b[0m\n",
    "only evaluations": (
        "step 0: train loss 4.0, val loss 4.2\nstep 1: train loss 3.5, val loss 4.1\n"
    ),
    "dates": (
        "[2026-01-01 10:00:00] INFO global_step=0, loss=4.0\n"
        "[2026-01-01 10:00:01] INFO global_step=1, loss=3.5\n"
    ),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_as_people_print_it(tmp_path, kind):
    log = read(tmp_path / "log.txt", TEXTS[kind])
    assert rows(log) == [(0, 4.0), (1, 3.5)]
    assert log.sources[0][:2] == ("log.txt", "text")
    told = ("modded-nanogpt", "llm.c", "megatron", "tqdm", "several losses")
    assert log.total == (2 if kind in told else None)
    if "learning" in TEXTS[kind] or "lr" in TEXTS[kind]:
        assert log.rates is not None
        assert log.rates.tolist() == [0.001, 0.002]


def test_text_by_a_pattern(tmp_path):
    text = "s:0 tel:11.0\ns:0 trl:4.0 lr:0.1\ns:5 trl:3.5 lr:0.2\n"
    log = read(tmp_path / "main.log", text, pattern=r"s:(?P<step>\d+) trl:(?P<loss>\S+)")
    assert rows(log) == [(0, 4.0), (5, 3.5)]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("wandb.csv", WANDB, {}),
        ("any.csv", "it,trl,other\n0,4.0,1\n2,3.25,1\n", {"loss": "trl"}),
        ("any.tsv", "n\tNLL\n0\t4.0\n1\t\n2\t3.25\n", {"loss": "nll", "step": "n"}),
        ("rows.json", '[\n {"step": 0, "loss": 4.0},\n {"step": 2, "loss": 3.25}\n]', {}),
        ("columns.json", '{"step": [0, 2], "loss": [4.0, 3.25]}', {}),
        ("nested.jsonl", '{"step": 0, "train": {"loss": 4.0}}\n'
         '{"step": 2, "train": {"loss": 3.25}}', {}),
        ("odd.jsonl", '{"_step": 9, "global_step": 0, "loss": 4, "val_loss": 1}\n\n'
         '{"_step": 8, "global_step": 2, "loss": 3.25, "eval": true}\n', {}),
        ("bom.csv", "\ufeffstep,loss\n0,4.0\n2,3.25\n", {}),
        ("blank.csv", "\n\nstep,loss\n0,4.0\n2,3.25\n", {}),
        ("comment.csv", "# a run\n# of mine\nstep,loss\n0,4.0\n2,3.25\n", {}),
        ("decimal-commas.csv", "step;loss\n0;4,0\n2;3,25\n", {}),
        ("spaces.txt", "  step   loss  lr\n   0   4.0   1e-3\n   2   3.25  1e-3\n", {}),
        ("tensorboard.csv", "Wall time,Step,Value\n1.7e9,0,4.0\n1.7e9,2,3.25\n", {}),
        ("accuracy.csv", "Wall time,Step,Value,nll\n1.7e9,0,9,4.0\n1.7e9,2,9,3.25\n",
         {"loss": "nll"}),
        ("twice.csv", "step,loss,step,val_loss\n0,4.0,7,1\n2,3.25,8,1\n", {}),
        ("history.json", '{"name": "a", "history": [{"step": 0, "loss": 4}, '
         '{"step": 2, "loss": 3.25}]}', {}),
        ("prose.txt", "The loss is printed here, at step 0 and on\nstep 0 loss 4\n"
         "step 2 loss 3.25\n", {}),
        ("prose2.txt", "Training loss\nof 2 runs\nstep 0 loss 4\nstep 2 loss 3.25\n", {}),
    ],
)  # fmt: skip
def test_tables_and_json_with_names_of_all_kinds(tmp_path, name, text, wanted):
    assert rows(read(tmp_path / name, text, **wanted)) == [(0, 4.0), (2, 3.25)]


def test_thousands_in_quotes_are_one_number(tmp_path):
    log = read(tmp_path / "a.csv", 'step,loss\n0,4.0\n"1,000",3.5\n"2,000","1,003.25"\n')
    assert rows(log) == [(0, 4.0), (1000, 3.5), (2000, 1003.25)]


def test_text_in_utf_16_as_powershell_redirects_it(tmp_path):
    (tmp_path / "log").write_text("step,loss\n0,4.0\n2,3.25\n", encoding="utf-16")
    assert rows(read(tmp_path / "log")) == [(0, 4.0), (2, 3.25)]
    (tmp_path / "log").write_text("\nstep 0 loss 4.0\nstep 2 loss 3.25\n", encoding="utf-16")
    assert rows(read(tmp_path / "log")) == [(0, 4.0), (2, 3.25)]


@pytest.mark.parametrize("order", [[7, 6, 5, 4, 3, 2, 1, 0], [3, 1, 7, 0, 5, 2, 6, 4]])
def test_rows_that_are_sorted_by_something_else_are_sorted_by_step(tmp_path, order):
    text = "".join(f"{k},{LOSSES[k]},{k + 1}\n" for k in order)
    log = read(tmp_path / "a.csv", "step,loss,lr\n" + text)
    assert rows(log) == EVERY
    assert log.rates is not None
    assert log.rates.tolist() == [k + 1 for k in range(8)]
    assert log.notes == ("a.csv is not in the order of its steps: its rows were sorted by them.",)


def test_a_database_whose_path_looks_like_a_query(tmp_path):
    (tmp_path / "a?b#c %41").mkdir()
    trackio_like(tmp_path / "a?b#c %41" / "ü.db", "only")
    assert len(read(tmp_path / "a?b#c %41" / "ü.db").losses)


def test_a_list_of_numbers_in_json(tmp_path):
    assert rows(read(tmp_path / "losses.json", "[4.0, 3.5]")) == [(0, 4.0), (1, 3.5)]


def test_parquet(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"_step": [0, 1, 2], "train/loss": [4.0, None, 3.25], "name": ["a"] * 3})
    parquet.write_table(table, tmp_path / "history.parquet")
    assert rows(read(tmp_path / "history.parquet")) == [(0, 4.0), (2, 3.25)]


def test_a_packed_file_is_read_whatever_it_is_called(tmp_path):
    for name, text in (("log", TEXTS["plain"]), ("csv", "step,loss\n0,4.0\n1,3.5\n")):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()))
        assert rows(read(path)) == [(0, 4.0), (1, 3.5)]


# -- what is odd is handled, and said --------------------------------------------------------------


def test_several_files_are_one_run_and_what_was_repeated_is_replaced(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text("step,loss,lr\n0,4.0,1\n1,3.5,1\n2,9.0,1\n3,9.0,1\n")
    second.write_text('{"step": 2, "loss": 3.25, "lr": 2}\n{"step": 3, "loss": 3.0, "lr": 2}')
    log = read_logs([first, second])
    assert rows(log) == EVERY[:4]
    assert log.rates is not None
    assert log.rates.tolist() == [1, 1, 2, 2]
    assert [source[:2] for source in log.sources] == [("a.csv", "CSV"), ("b.jsonl", "JSON lines")]
    assert len(log.notes) == 1
    assert "go back to 2" in log.notes[0]
    assert "2 losses in all" in log.notes[0]


def test_files_without_steps_are_counted_on(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, part in zip(paths, (LOSSES[:3], LOSSES[3:]), strict=True):
        path.write_text("\n".join(map(str, part)))
    log = read_logs(paths)
    assert rows(log) == EVERY
    assert (
        log.notes[0]
        == "a.txt has no steps that are read: its losses are counted, one for each update."
    )


def test_steps_that_count_within_an_epoch_can_be_counted(tmp_path):
    text = "".join(f"step {k % 4} loss {loss}\n" for k, loss in EVERY)
    log = read(tmp_path / "log", text * 2)
    assert len(log.steps) == 4
    assert "--step row" in log.notes[0]
    assert [step for step, _ in rows(read(tmp_path / "log", step="row"))] == list(range(16))


def test_gaps_late_beginnings_and_numbers_that_are_none_are_said(tmp_path):
    steps = [*range(100, 110), *range(400, 410)]
    text = "step,loss\n" + "".join(f"{k},{'nan' if k == 405 else 3.0}\n" for k in steps)
    log = read(tmp_path / "log.csv", text)
    assert log.steps.tolist() == steps
    begins, gap, strange = log.notes
    assert begins == "The log begins at update 100: the rule saw no loss before it."
    assert "between updates 109 and 400" in gap
    assert strange == "1 loss is no number and counts as not seen."


def test_steps_that_count_tokens(tmp_path):
    text = "tokens,loss,lr\n" + "".join(f"{524288 * k},{4 - k},{k}\n" for k in (1, 2, 3))
    (tmp_path / "log.csv").write_text(text)
    log = read_logs([tmp_path / "log.csv"], Wanted(step="tokens", per_update=524288))
    assert rows(log) == [(0, 3), (1, 2), (2, 1)]
    assert log.rates is not None
    assert log.rates.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="--per-update: expected a number above 0, got 0"):
        Wanted(per_update=0)


def test_a_broken_gzip_file_is_refused(tmp_path):
    whole = gzip.compress(b"step 1 loss 3\n" * 1000)
    for name, content in (("cut", whole[:-20]), ("odd", whole[:30] + b"\xff" * 20 + whole[50:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("logged", "updates"),
    [
        ([10, 20, 30], [9, 19, 29]),  # counted after the update, as the Trainer does
        ([1, 10, 20, 30], [0, 9, 19, 29]),  # with its logging_first_step
        ([9, 19, 29], [9, 19, 29]),  # as Lightning does
        ([0, 10, 20], [0, 10, 20]),
        ([500, 510, 520], [500, 510, 520]),
    ],
)
def test_where_steps_count_from(tmp_path, logged, updates):
    text = "step,loss\n" + "".join(f"{step},3.0\n" for step in logged)
    assert read(tmp_path / "log.csv", text).steps.tolist() == updates


def test_rates_in_rows_of_their_own_hold_until_the_next(tmp_path):
    text = "step,loss,lr\n0,4.0,\n1,,0.5\n1,3.5,\n2,3.25,\n3,,0.25\n4,3.0,\n"
    log = read(tmp_path / "log.csv", text)
    assert rows(log) == [(0, 4.0), (1, 3.5), (2, 3.25), (4, 3.0)]
    assert log.rates is not None
    assert np.array_equal(log.rates, [math.nan, 0.5, 0.5, 0.25], equal_nan=True)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_what_counts_is_what_no_later_row_replaces(steps):
    """As if every row erased what was logged at its step and later."""
    held: dict[int, int] = {}
    for row, step in enumerate(steps):
        held = {at: index for at, index in held.items() if at < step}
        held[step] = row
    kept = latest(np.array(steps, dtype=np.int64))
    assert kept.tolist() == [held[step] for step in sorted(held)]


@given(
    loss=st.lists(st.one_of(st.none(), st.floats(0.5, 9.0)), min_size=1, max_size=30),
    start=st.integers(0, 5),
)
def test_whatever_is_missing_the_rest_is_read(loss, start, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    lines = [f"{3 * k + start},{'' if x is None else x}\n" for k, x in enumerate(loss)]
    known = [(3 * k + start, x) for k, x in enumerate(loss) if x is not None]
    if not known:
        return
    log = read(path, "step,loss\n" + "".join(lines))
    shift = known[0][0] - int(log.steps[0])
    assert shift in (0, 1)
    assert [(step + shift, x) for step, x in rows(log)] == known


@pytest.mark.parametrize(
    ("text", "wanted", "sentence"),
    [
        ("step,val_loss\n0,1\n", {}, "expected a column of training losses .* got step, val_loss"),
        ("step,a_loss,b_loss\n0,1,1\n", {}, "one column of losses, got a_loss, b_loss: choose"),
        ("step,loss\n0,1\n", {"loss": "nll"}, "--loss: expected one of .*loss.*, got 'nll'"),
        ("step,loss\n0,1\n", {"step": "n"}, "--step: expected one of .*, got 'n'"),
        ("step,loss\n", {}, "expected numbers in the column 'loss', got no row"),
        ("step,loss\n0,\n", {}, "expected numbers in the column 'loss', got empty ones"),
        ("step,loss\n0,high\n", {}, "expected numbers in the column 'loss', got 'high'"),
        ("step,nll\n0,high\n", {"loss": "nll"}, "numbers in the column 'nll', got 'high'"),
        ("step,loss,loss\n0,1,2\n", {}, "expected one column 'loss', got 2 of that name"),
        ("nothing here\n", {}, "expected lines such as 'step 10 loss 3.2', got none"),
        ("step 1 loss 2\n", {"pattern": "("}, "--pattern: expected a regular expression"),
        ("step 1 loss 2\n", {"pattern": "x"}, r"--pattern: expected a group \(\?P<loss>"),
        ('{"step": 1,\n"loss"\n', {}, "expected JSON, or a JSON object a line"),
        ('{"step": 1, "loss": 2}\nnot json\n{"step": 2, "loss": 2}\n', {}, "got 'not json'"),
        ('[["a"]]', {}, "expected a JSON object for each row"),
        ("\x00\x01", {}, "expected a log in text, got binary data"),
        (":W&B\x00", {}, "the CSV that W&B exports"),
        (
            "step,loss\n0,3\n1764288000,3\n",
            {},
            "at most 20,000,000, got 1,764,288,000 for 2 losses",
        ),
        ("step,loss\n1e300,3\n", {}, "expected training losses with a step, got none"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, text, wanted, sentence):
    path = tmp_path / "log"
    with pytest.raises(ValueError, match=sentence) as caught:
        read(path, text, **wanted)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_and_directories_that_hold_no_one_run(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected a directory with trainer_state\.json"):
        read(tmp_path / "empty")
    (tmp_path / "nothing").write_text("")
    with pytest.raises(ValueError, match="got an empty file"):
        read(tmp_path / "nothing")
    for name in ("one", "two"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "metrics.csv").write_text("step,loss\n0,1\n")
    with pytest.raises(ValueError, match="expected one run, got one, two"):
        read(tmp_path / "runs")
    trackio_like(tmp_path / "mine.db", "a", "b")
    with pytest.raises(ValueError, match="one run in the project, got a, b: choose with --run"):
        read(tmp_path / "mine.db")
    with pytest.raises(ValueError, match="--run: expected one of a, b, got 'c'"):
        read(tmp_path / "mine.db", run="c")
    with sqlite3.connect(tmp_path / "other.db") as base:
        base.execute("CREATE TABLE t (a)")
    base.close()
    with pytest.raises(ValueError, match="expected a database of trackio"):
        read(tmp_path / "other.db")
    (tmp_path / "events.out.tfevents.1").write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="expected TensorBoard's event files"):
        read(tmp_path / "events.out.tfevents.1")


@given(
    name=st.sampled_from(["log.csv", "rows.jsonl", "state.json", "text", "events.out.tfevents.1"]),
    place=st.floats(0, 1),
    cut=st.integers(0, 9),
    put=st.one_of(st.binary(max_size=6), st.sampled_from([b"nan", b"1e999", b"-7", b"\n\n", b'"'])),
)
def test_a_damaged_log_is_read_or_refused_in_one_sentence(name, place, cut, put, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    events = folder / "events"
    if name.startswith("events"):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(events) as writer:
            for k, loss in EVERY:
                writer.add_scalar("loss", loss, k)
    whole = {
        "log.csv": lambda: b"step,loss\n" + b"".join(b"%d,%f\n" % row for row in EVERY),
        "rows.jsonl": lambda: b"".join(b'{"step": %d, "loss": %f}\n' % row for row in EVERY),
        "state.json": lambda: json.dumps({"log_history": [{"step": 1, "loss": 2.0}]}).encode(),
        "text": lambda: TEXTS["llm.c"].encode(),
        "events.out.tfevents.1": lambda: next(events.iterdir()).read_bytes(),
    }[name]()
    at = round(place * len(whole))
    (folder / name).write_bytes(whole[:at] + put + whole[at + cut :])
    try:
        log, said = read(folder / name), ""
    except ValueError as error:
        log, said = None, str(error)
    assert "\n" not in said
    if log is None:
        assert said.startswith(str(folder))
    else:
        assert (np.diff(log.steps) > 0).all()
        assert log.steps[0] >= 0
        assert len(log.losses) == len(log.steps)
