"""A real Accelerator: the loop of the page, checkpoints, and optimizers that were prepared."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from autowarmup import AdaptiveWarmup
from pages import loop


def test_the_loop_of_the_page_trains_and_its_checkpoint_resumes(tmp_path):
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.3))
    names = {
        "accelerator": accelerator,
        "model": model,
        "optimizer": optimizer,
        "loader": [torch.ones(8, 4)] * 40,
        "updates": 20,
        "loss_of": lambda model, batch: (model(batch) - 1.0).square().mean(),
    }
    exec(loop("accelerate"), names)
    scheduler = names["scheduler"]
    assert (scheduler.state.step, scheduler.phase) == (20, "done")
    assert scheduler.trace[-1].loss < scheduler.trace[0].loss
    accelerator.save_state(str(tmp_path))
    saved, rates = scheduler.state_dict(), scheduler.get_last_lr()
    names["optimizer"].param_groups[0]["lr"] = 9.0
    accelerator.load_state(str(tmp_path))
    assert scheduler.state_dict() == saved
    assert [optimizer.param_groups[0]["lr"]] == rates


def test_a_prepared_optimizer_is_unwrapped_also_in_a_list():
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    inner = [torch.optim.SGD([weight], lr=0.5) for weight in weights]
    accelerator = Accelerator(cpu=True)
    prepared = [accelerator.prepare(each) for each in inner]
    scheduler = AdaptiveWarmup(prepared, 10, rule="flat")
    assert scheduler.optimizers == inner
    for optimizer in prepared:
        optimizer.step()
    scheduler.step(4.0)
    assert scheduler.state.step == 1
    assert scheduler.get_last_lr() == pytest.approx([0.005, 0.005])
