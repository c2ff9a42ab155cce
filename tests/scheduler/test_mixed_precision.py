"""Updates that GradScaler throws away, with and without fused optimizers, and bf16 autocast."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw

OVERFLOWS = {0, 3, 4, 11}
STEPS = 24


def new_scaler() -> torch.amp.GradScaler:
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.ones(()))  # its scale becomes a tensor at the first use
    return scaler


def run(overflows: set[int], *, fused: bool, lag: int = 0, observe: bool = False) -> list[float]:
    """Return the rate of every update that was made, and the last one."""
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.AdamW([weight], lr=0.5, fused=fused)
    scheduler = AdaptiveWarmup(optimizer, STEPS, rule=GapLaw(end=0.3, div=10), lag=lag)
    scaler = new_scaler()
    rates, call, made = [], 0, 0
    while made < STEPS:
        before = weight.detach().clone()
        rate = optimizer.param_groups[0]["lr"]
        bad = call in overflows
        loss = torch.tensor(1e6 if bad else 5.0 * 0.9**made)
        weight.grad = torch.full((4,), torch.inf if bad else 8.0)
        if observe:
            scheduler.observe(loss)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step(None if observe else loss)
        assert torch.equal(before, weight.detach()) == bad
        if not bad:
            rates.append(rate)
            made += 1
        call += 1
    return [*rates, scheduler.get_last_lr()[0]]


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_a_skipped_update_moves_nothing_and_its_loss_is_dropped(fused, observe):
    assert run(OVERFLOWS, fused=fused, observe=observe) == run(set(), fused=fused)


def test_a_fused_skip_that_only_the_device_knows_is_made_good_one_update_later():
    """The rate runs one update ahead for one update; after that the count is right again."""
    late, never = run({5}, fused=True, lag=1), run(set(), fused=True, lag=1)
    # update 5 uses the rate of 6 and holds it, so that from 6 on all is as if nothing had happened
    assert late[:5] == never[:5]
    assert late[5] == never[6]
    assert late[6:-1] == never[6:-1]


def test_a_fused_skip_is_settled_before_it_is_saved():
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.AdamW([weight], lr=0.5, fused=True)
    for lag in (0, 1):
        scheduler = AdaptiveWarmup(optimizer, STEPS, rule=GapLaw(end=0.3, div=10), lag=lag)
        for bad in (True, False):
            weight.grad = torch.full((4,), torch.inf if bad else 8.0)
            new_scaler().step(optimizer)
            assert scheduler.state_dict()["updated"] is not bad
            scheduler.skip()


def test_of_two_fused_optimizers_one_that_steps_makes_an_update():
    weights = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    optimizers = [torch.optim.AdamW([w], lr=0.5, fused=True) for w in weights]
    for lag, bad in ((0, {0}), (0, {0, 1}), (1, {1}), (1, {0, 1})):
        scheduler = AdaptiveWarmup(optimizers, STEPS, rule=GapLaw(end=0.3, div=10), lag=lag)
        scaler = new_scaler()
        for k, (weight, optimizer) in enumerate(zip(weights, optimizers, strict=True)):
            weight.grad = torch.full((4,), torch.inf if k in bad else 8.0)
            scaler.step(optimizer)
        scheduler.step(5.0)
        if lag:  # the next call learns of it
            scheduler.step(4.0, updated=True)
        assert scheduler.state.step == (lag if len(bad) == 2 else 1 + lag)


def test_bf16_autocast_with_micro_batches_resumes_bit_for_bit():
    def train(cut: int | None) -> tuple[list[float], torch.Tensor]:
        def build():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
            return model, optimizer, AdaptiveWarmup(optimizer, 20)

        model, optimizer, scheduler = build()
        data = torch.randn(20, 2, 8, 6, generator=torch.Generator().manual_seed(1))
        rates = []
        for k, batch in enumerate(data):
            for micro in batch:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = nn.functional.cross_entropy(model(micro), micro.argmax(-1) % 3)
                (loss / 2).backward()
                scheduler.observe(loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            rates += scheduler.get_last_lr()
            if k == cut:
                file = io.BytesIO()
                torch.save([x.state_dict() for x in (model, optimizer, scheduler)], file)
                file.seek(0)
                model, optimizer, scheduler = build()
                saved = torch.load(file, weights_only=True)
                for x, state in zip((model, optimizer, scheduler), saved, strict=True):
                    x.load_state_dict(state)
        return rates, torch.cat([p.detach().ravel() for p in model.parameters()])

    (rates, weights), (again, others) = train(None), train(6)
    assert rates == again
    assert torch.equal(weights, others)
