"""Nothing reads a number where it lies: no scalar read per step, no recompilation, lag by lag."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from autowarmup import AdaptiveWarmup

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="torch.compile was not tried on Windows"
)

READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)


class NoScalarRead(TorchDispatchMode):
    """Stands for an accelerator, where reading one number waits for all work queued before it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in READS:
            raise AssertionError(f"{func} reads a scalar")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1)], ids=["float rate", "tensor rate"])
@pytest.mark.parametrize("micro_batches", [1, 3])
def test_a_late_loss_is_never_read_where_it_lies(rate, micro_batches):
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.Adam([weight], lr=rate, foreach=False, fused=False)
    scheduler = AdaptiveWarmup(optimizer, 12, lag=1)
    for k in range(12):
        loss = (weight**2).sum() + 1.0
        loss.backward()
        with NoScalarRead():  # the optimizer itself may read: Adam's bias correction on a CPU does
            for _ in range(micro_batches):
                scheduler.observe(loss, weight=torch.tensor(2) if k % 2 else 2.0)
        optimizer.step()
        with NoScalarRead():
            scheduler.step()
        optimizer.zero_grad()
    assert scheduler.state.step == 12
    losses = scheduler.trace.column("loss")
    assert losses[1] == pytest.approx(5.0)  # the first loss, in the second row
    assert scheduler.agreement.waits == 0


def test_the_mode_above_does_catch_a_read():
    with pytest.raises(AssertionError, match="reads a scalar"), NoScalarRead():
        AdaptiveWarmup(torch.optim.SGD([nn.Parameter(torch.ones(1))]), 9).observe(torch.tensor(1.0))


def test_the_flag_of_a_fused_optimizer_is_not_read_either():
    weight = nn.Parameter(torch.ones(4))
    weight.grad = torch.ones(4)
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=True)
    scheduler = AdaptiveWarmup(optimizer, 12, lag=1)
    optimizer.step()
    scheduler.step(torch.tensor(5.0))
    optimizer.grad_scale = torch.tensor(1.0)  # what GradScaler leaves for the time of the step
    for flag in (0.0, 1.0, 0.0):
        optimizer.found_inf = torch.tensor(flag)
        optimizer.step()
        with NoScalarRead():
            scheduler.step(torch.tensor(5.0))
    assert scheduler.state.step == 3


def test_lag_is_checked_and_saved():
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for bad in (-1, 0.5, "one"):
        with pytest.raises(ValueError, match="lag to be a whole number"):
            AdaptiveWarmup(optimizer, 12, lag=bad)
    assert AdaptiveWarmup(optimizer, 12).agreement.lag == 0
    late = AdaptiveWarmup(optimizer, 12, lag=2)
    for loss in (3.0, 2.0, 1.0):
        late.step(loss, updated=True)
    saved = late.state_dict()
    assert saved["agreement"]["pending"] == [[2.0, False], [1.0, False]]
    optimizer.param_groups[0]["lr"] = late.peak_lrs[0][0]
    other = AdaptiveWarmup(optimizer, 12)
    other.load_state_dict(saved)
    assert other.agreement.lag == 2
    assert other.state_dict() == saved


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, in its compiler
@pytest.mark.parametrize("compiled", ["step", "loop"])
def test_a_compiled_optimizer_step_is_compiled_once_while_the_tensor_rate_changes(compiled):
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    counter = CompileCounter()
    model = nn.Linear(4, 4)
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, foreach=False)
    scheduler = AdaptiveWarmup(optimizer, 20)
    step = optimizer.step if compiled == "step" else (lambda: optimizer.step())
    compiled_step = torch.compile(step, backend=counter)
    rates, frames = set(), []
    for _ in range(8):
        loss = model(torch.ones(4)).square().sum() + 1.0
        loss.backward()
        compiled_step()
        scheduler.step(loss)
        optimizer.zero_grad()
        rates.add(scheduler.get_last_lr()[0])
        frames.append(counter.frame_count)
    assert scheduler.state.step == 8  # the hook is called
    assert len(rates) == 8
    assert optimizer.param_groups[0]["lr"] is rate
    assert frames[1] == frames[-1]  # Adam makes its state in the first call


def test_a_replayed_graph_calls_no_hook_and_says_so_by_hand():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = AdaptiveWarmup(optimizer, 300)
    scheduler.step(3.0, updated=True)
    scheduler.step(2.0)
    assert scheduler.state.step == 1
    optimizer.step()
    scheduler.step(2.0, updated=False)
    assert scheduler.state.step == 1
    scheduler.step(2.0, updated=True)
    for _ in range(19):
        scheduler.step(2.0)
    with pytest.warns(UserWarning, match="20 calls of step but AdaptiveWarmup sees no"):
        scheduler.step(2.0)
    scheduler.step(2.0)  # said once: warnings are errors here
