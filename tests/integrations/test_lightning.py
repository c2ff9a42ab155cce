"""Real Lightning Trainers: the golden trace, accumulation, resuming, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import BaseFinetuning, StochasticWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from autowarmup import AdaptiveWarmup, Trace
from autowarmup.integrations.lightning import AdaptiveWarmupCallback
from autowarmup.rules import GapLaw
from pages import loop

GOLDEN = Path(__file__).parent.parent / "golden"
# torch deprecates a check that Lightning makes of every batch it looks through; Lightning warns of
# few worker processes, which a test does not want, and of loaders that cannot go on in the middle
# of an epoch, which the test of resuming makes up for.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before"),
]


class Replay(L.LightningModule):
    """A module whose loss is what it is given."""

    def __init__(self, make: Any = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.make, self.rates = make, []

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return batch.mean() + 0.0 * self.weight.sum()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        return [optimizer], [self.make(optimizer)]


def trainer(folder: Path, steps: int, **options: Any) -> L.Trainer:
    fixed: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    fixed |= {"enable_model_summary": False, "enable_checkpointing": False, "max_epochs": -1}
    fixed |= {"callbacks": [AdaptiveWarmupCallback()], "default_root_dir": folder}
    return L.Trainer(max_steps=steps, **{**fixed, **options})


def batches(losses: list[float]) -> DataLoader:
    data = [torch.tensor([loss], dtype=torch.float64) for loss in losses]
    return DataLoader(data, batch_size=None)


def golden() -> tuple[dict, Trace, dict]:
    run = json.loads((GOLDEN / "runs.json").read_text())["lion"]
    settings = {"rule": GapLaw(end=run["gap_peak"] / run["gap0"], div=run["div"])}
    return run, Trace.read(GOLDEN / "lion.jsonl"), settings


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_golden_trace_at_any_interval(tmp_path, interval):
    run, trace, settings = golden()
    steps = run["steps_done"]

    def make(optimizer: Any) -> dict[str, Any]:
        return {"scheduler": AdaptiveWarmup(optimizer, steps, **settings), "interval": interval}

    model, fit = Replay(make), trainer(tmp_path, steps)
    fit.fit(model, batches(trace.column("loss")))
    wanted = [point.lr / run["lr"] for point in trace]
    assert model.rates == pytest.approx(wanted, rel=1e-11)
    assert fit.lr_scheduler_configs[0].scheduler.warmup_end_step == run["warmup_end_step"]


def test_accumulated_micro_batches_are_averaged_also_in_a_short_last_update(tmp_path):
    losses = [5.0, 3.0, 4.0, 4.5, 3.5, 2.0, 2.5]
    model = Replay(lambda optimizer: AdaptiveWarmup(optimizer, 5))
    callbacks = [AdaptiveWarmupCallback(log=True)]
    fit = trainer(tmp_path, 5, accumulate_grad_batches=3, callbacks=callbacks)
    fit.fit(model, batches(losses))
    seen = fit.lr_scheduler_configs[0].scheduler.trace.column("loss")
    assert seen == pytest.approx([4.0, 10.0 / 3.0, 2.5, 4.0, 10.0 / 3.0], rel=1e-12)
    assert fit.callback_metrics["warmup/phase"] == 1.0


@pytest.mark.parametrize("cut", [10, 60, 120])
def test_resuming_from_a_checkpoint_changes_no_bit(tmp_path, cut):
    run, trace, settings = golden()
    steps, losses = run["steps_done"], trace.column("loss")
    make = lambda optimizer: AdaptiveWarmup(optimizer, steps, **settings)  # noqa: E731
    whole, first, second = Replay(make), Replay(make), Replay(make)
    trainer(tmp_path, steps).fit(whole, batches(losses))
    half = trainer(tmp_path, cut)
    half.fit(first, batches(losses))
    half.save_checkpoint(tmp_path / "half.ckpt")
    # Lightning goes on in the middle of the epoch, but a plain loader begins anew.
    rest = batches(losses[cut:] + losses[:cut])
    trainer(tmp_path, steps).fit(second, rest, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert first.rates + second.rates == whole.rates


def test_what_cannot_work_is_said_before_the_first_step(tmp_path):
    model = Replay(lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer))
    with pytest.raises(ValueError, match=r"expected one among the schedulers .* got ConstantLR"):
        trainer(tmp_path, 5).fit(model, batches([3.0]))
    model = Replay(lambda optimizer: AdaptiveWarmup(optimizer, 5))
    model.automatic_optimization = False
    with pytest.raises(ValueError, match="there, call scheduler"):
        trainer(tmp_path, 5).fit(model, batches([3.0]))


def test_without_the_callback_the_rate_goes_by_steps_and_says_so(tmp_path):
    model = Replay(lambda o: {"scheduler": AdaptiveWarmup(o, 20), "interval": "step"})
    with pytest.warns(UserWarning, match="no finite loss reached AdaptiveWarmup"):
        trainer(tmp_path, 20, callbacks=[]).fit(model, batches([3.0] * 20))
    assert model.rates[0] < model.rates[5]


def test_the_loop_of_the_page_trains():
    class Base(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(2, 2)

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            return (self.hidden(batch) - 1.0).square().mean()

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"enable_checkpointing": False, "accelerator": "cpu"}
    made: list[L.Trainer] = []

    def make(**options: Any) -> L.Trainer:
        made.append(L.Trainer(**options, **quiet))
        return made[-1]

    loader = DataLoader([torch.ones(4, 2)] * 10, batch_size=None)
    code = loop("lightning").replace("L.Trainer(", "make(")
    exec(code, {"Base": Base, "loader": loader, "make": make})
    scheduler = made[0].lr_scheduler_configs[0].scheduler
    assert (scheduler.state.step, scheduler.phase) == (20, "done")
    assert scheduler.trace[-1].loss < scheduler.trace[0].loss


@pytest.mark.filterwarnings("ignore:SWA is currently only supported every epoch")
def test_another_callback_that_takes_the_scheduler_away_is_said_once(tmp_path):
    """StochasticWeightAveraging puts its own scheduler in the place of every other."""
    averaging = StochasticWeightAveraging(1e-3, swa_epoch_start=2)
    callbacks = [AdaptiveWarmupCallback(log=True), averaging]
    model = Replay(lambda o: {"scheduler": AdaptiveWarmup(o, 40), "interval": "step"})
    fit = trainer(tmp_path, -1, callbacks=callbacks, max_epochs=5)
    with pytest.warns(UserWarning, match="no longer among the schedulers at update") as told:
        fit.fit(model, batches([3.0] * 8))
    assert len([each for each in told if "no longer among" in str(each.message)]) == 1
    assert fit.global_step >= 32


class Backbone(L.LightningModule):
    """A backbone that is frozen at first, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(2, 2), nn.Linear(2, 1)
        self.rates: list[list[float]] = []

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        self.rates.append([group["lr"] for group in self.optimizers().param_groups])
        return self.head(self.backbone(torch.ones(1, 2))).square().mean() + batch.mean().float()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)
        scheduler = AdaptiveWarmup(optimizer, 40, rule="linear 15 steps")
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


def test_a_frozen_backbone_that_joins_in_warm_up_has_its_share_of_the_peak(tmp_path):
    class Joins(BaseFinetuning):
        def freeze_before_training(self, pl_module: L.LightningModule) -> None:
            self.freeze(pl_module.backbone)

        def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
            if epoch == 1:  # a tenth of the rate in force
                self.unfreeze_and_add_param_group(pl_module.backbone, optimizer)

    model = Backbone()
    fit = trainer(tmp_path, -1, max_epochs=5, callbacks=[AdaptiveWarmupCallback(log=True), Joins()])
    with pytest.warns(UserWarning, match=r"group 1 joins with lr=.* its peak rate is 0.01"):
        fit.fit(model, batches([3.0] * 8))
    assert [len(rates) for rates in model.rates] == [1] * 8 + [2] * 32
    for head, backbone in model.rates[9:]:
        assert backbone == pytest.approx(head / 10)
    assert max(rates[1] for rates in model.rates[8:]) == pytest.approx(0.01)


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_a_line_of_the_log_is_of_one_update(tmp_path, interval):
    lines: list[dict[str, float]] = []

    class Logger(CSVLogger):
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            lines.append(metrics)

    def make(optimizer: Any) -> dict[str, Any]:
        return {"scheduler": AdaptiveWarmup(optimizer, 12), "interval": interval}

    model = Replay(make)
    callbacks = [AdaptiveWarmupCallback(log=True)]
    fit = trainer(tmp_path, 12, callbacks=callbacks, logger=Logger(tmp_path), log_every_n_steps=1)
    fit.fit(model, batches([3.0 - 0.1 * k for k in range(12)]))
    shown = [line for line in lines if "warmup/lr" in line]
    assert [line["warmup/lr"] for line in shown] == pytest.approx(model.rates, rel=1e-6)
    assert [line["warmup/factor"] for line in shown] == pytest.approx(model.rates, rel=1e-6)
