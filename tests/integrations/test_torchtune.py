"""torchtune: what its recipes call, without it; and a real recipe where it is installed."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import warnings

import config_files
import pytest
import torch
from torch import nn

from autowarmup.integrations.torchtune import adaptive_schedule, telling

yaml = pytest.importorskip("yaml", reason="PyYAML reads the lines of the documentation")


def by_path(path: str):
    """Resolve a dotted path, as torchtune's `config.instantiate` does."""
    room, _, name = path.rpartition(".")
    return getattr(importlib.import_module(room), name)


def test_the_paths_of_the_documentation_take_what_recipes_pass():
    config = yaml.safe_load(config_files.shown("torchtune"))
    schedule, loss = config["lr_scheduler"], config["loss"]
    assert by_path(loss.pop("_component_")) is telling
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.5)
    # recipes/full_finetune_single_device.py, `_setup_lr_scheduler`
    made = by_path(schedule.pop("_component_"))(
        optimizer, num_training_steps=100, last_epoch=-1, **schedule
    )
    assert (made.state.run.total_steps, made.state.run.decay) == (100, "cosine")


def model_and_schedule(**options):
    torch.manual_seed(0)
    model = nn.Linear(4, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, adaptive_schedule(optimizer, 10, **options)


def test_the_mean_over_micro_batches_counts_labels():
    model, optimizer, scheduler = model_and_schedule(decay="linear")
    loss = telling("torch.nn.CrossEntropyLoss", ignore_index=-1)
    assert type(loss) is nn.CrossEntropyLoss
    batches = [
        (torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 4, 5])),
        (torch.randn(6, 4), torch.tensor([0, -1, -1, -1, -1, 7])),
    ]
    means = [loss(model(x), y).item() for x, y in batches]
    with torch.no_grad():
        loss(model(torch.full((6, 4), 99.0)), batches[0][1])  # validation
    optimizer.step()
    scheduler.step()
    assert scheduler.last.loss == pytest.approx((6 * means[0] + 2 * means[1]) / 8, rel=1e-6)


def test_a_run_goes_on_by_its_updates():
    _, _, scheduler = model_and_schedule(last_epoch=4, rule="linear 2 steps")
    assert (scheduler.state.step, scheduler.phase) == (5, "decay")


def test_without_a_schedule_nothing_is_told():
    model, _, scheduler = model_and_schedule()
    del scheduler
    loss = telling("torch.nn.CrossEntropyLoss")
    assert loss(model(torch.ones(1, 4)), torch.tensor([1])).requires_grad


def test_a_loss_that_is_told_nobody_is_said_once():
    _, optimizer, scheduler = model_and_schedule()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(4):
            optimizer.step()
            scheduler.step()
    assert len([each for each in said if "loss" in str(each.message)]) == 1


@pytest.mark.parametrize("path", ["CrossEntropyLoss", "torch.nn.NoSuchLoss", "no.such.Loss", ""])
def test_a_wrong_path_is_said(path):
    with pytest.raises(ValueError, match="loss: expected the dotted path of a loss function, got"):
        telling(path)


def test_another_kind_of_loss_is_refused():
    model, _, scheduler = model_and_schedule()
    assert scheduler.phase == "warmup"
    each = telling("torch.nn.CrossEntropyLoss", reduction="none")
    with pytest.raises(ValueError, match=r"loss function of \(logits, labels\) that returns their"):
        each(model(torch.ones(3, 4)), torch.tensor([1, 2, 3]))


TINY = """
import torch
from torch.utils.data import Dataset

class Rows(Dataset):
    def __init__(self, tokenizer=None, packed=False):
        start = torch.randint(0, 64, (64, 1), generator=torch.Generator().manual_seed(0))
        self.rows = (start + torch.arange(24)) % 64
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, i):
        row = self.rows[i][: 8 + i % 16].tolist()
        return {"tokens": row, "labels": row}

class Tokenizer:
    pad_id, max_seq_len = 0, 64
"""
CONFIG = """
output_dir: out
tokenizer: {_component_: tiny_tune.Tokenizer}
dataset: {_component_: tiny_tune.Rows}
seed: 3
shuffle: true
model: {_component_: torchtune.models.llama3.llama3, vocab_size: 64, num_layers: 2, num_heads: 4,
        num_kv_heads: 2, embed_dim: 32, max_seq_len: 64}
checkpointer: {_component_: torchtune.training.FullModelTorchTuneCheckpointer,
               checkpoint_dir: model, checkpoint_files: [tune.pt], recipe_checkpoint: null,
               output_dir: out, model_type: LLAMA3}
resume_from_checkpoint: false
batch_size: 2
epochs: 2
max_steps_per_epoch: null
gradient_accumulation_steps: 2
optimizer: {_component_: torch.optim.AdamW, lr: 1.0e-2}
optimizer_in_bwd: false
clip_grad_norm: null
compile: false
device: cpu
dtype: fp32
enable_activation_checkpointing: false
enable_activation_offloading: false
metric_logger: {_component_: torchtune.training.metric_logging.DiskLogger, log_dir: logs}
log_every_n_steps: 1
log_peak_memory_stats: false
"""
MODEL = """
import torch
from torchtune.models.llama3 import llama3
torch.manual_seed(0)
model = llama3(vocab_size=64, num_layers=2, num_heads=4, num_kv_heads=2, embed_dim=32,
               max_seq_len=64)
torch.save(model.state_dict(), "model/tune.pt")
"""
RUN = """
import runpy, sys
from pathlib import Path
import torchtune
from autowarmup.integrations import torchtune as ours
kept, usual = [], ours.adaptive_schedule
ours.adaptive_schedule = lambda *a, **k: kept.append(usual(*a, **k)) or kept[-1]
sys.argv = ["recipe", "--config", "config.yaml"]
recipe = Path(torchtune.__file__).parents[1] / "recipes" / "full_finetune_single_device.py"
try:
    runpy.run_path(str(recipe), run_name="__main__")
except SystemExit as end:
    assert not end.code
kept[0].trace.write("trace.jsonl")
"""


def test_a_recipe_of_torchtune_trains_with_it(tmp_path):
    pytest.importorskip("torchtune", reason="torchtune is not installed (it needs torchao 0.10)")
    from autowarmup import Trace

    (tmp_path / "model").mkdir()
    (tmp_path / "tiny_tune.py").write_text(TINY, encoding="utf-8")
    text = CONFIG + config_files.shown("torchtune")
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for code in (MODEL, RUN):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (log,) = (tmp_path / "logs").glob("*.txt")
    logged = [float(each) for each in re.findall(r"loss:(\S+)", log.read_text(encoding="utf-8"))]
    trace = Trace.read(tmp_path / "trace.jsonl")
    assert len(logged) == len(trace) == 32
    assert trace.column("loss") == pytest.approx(logged, rel=0.01)  # it weighs rows otherwise
    assert logged[-1] < 0.5 * logged[0]
    assert max(trace.column("lr")) == pytest.approx(0.01)
