"""The observer in loops that are odd but legitimate, and in those that must be told off."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from autowarmup import Lion, SignSGD, fit_curvature
from autowarmup.history import Trace
from autowarmup.measure.observer import CurvatureObserver


def layers(*sizes):
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes)))


class Loop:
    def __init__(self, model=None, *, optimizer=Lion, lr=1e-2, **options):
        self.model = layers(6, 8, 3) if model is None else model
        self.optimizer = optimizer(self.model.parameters(), lr=lr)
        self.options = {"every": 1} | options
        self.observer = CurvatureObserver(self.model, self.optimizer, self.loss, **self.options)
        self.batches = torch.randn(12, 16, 6, generator=torch.Generator().manual_seed(1))
        self.batch = self.batches[0]

    def loss(self):
        return self.model(self.batch).square().mean()

    def run(self, count, see=False):
        for _ in range(count):
            self.batch = self.batches[self.observer.step]
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            if see:
                self.observer.see(loss)
            self.optimizer.step()
        return [point.K for point in self.observer.trace]


def test_the_fit_takes_the_lower_bound_from_the_points(tmp_path):
    loop = Loop(lower_bound=0.0625)
    loop.run(12)
    loop.observer.trace.write(tmp_path / "trace.jsonl")
    for trace in (loop.observer.trace, Trace.read(tmp_path / "trace.jsonl")):
        found = fit_curvature(trace, window="all", pairing="before", bootstrap=0)
        assert found.lower_bound == 0.0625
        assert found.gaps.tolist() == [point.gap for point in trace if point.gap > 0]
    assert fit_curvature(loop.observer.trace, lower_bound=0.0, bootstrap=0).lower_bound == 0.0


@pytest.mark.parametrize("see", [False, True])
def test_layers_may_be_unfrozen_frozen_and_added(see):
    loop = Loop(layers(6, 8, 8, 3), next_batch=True)
    loop.model[1].requires_grad_(False)
    loop.run(3, see)
    counted = [loop.observer.counted.facts()["blocks"]]
    loop.model[1].requires_grad_(True)
    loop.run(2, see)
    counted.append(loop.observer.counted.facts()["blocks"])
    loop.model[0].requires_grad_(False)
    loop.run(2, see)
    counted.append(loop.observer.counted.facts()["blocks"])
    extra = nn.Linear(3, 3)
    loop.model.append(extra)
    loop.optimizer.add_param_group({"params": extra.parameters()})
    loop.run(2, see)
    counted.append(loop.observer.counted.facts()["blocks"])
    assert counted == [2, 3, 2, 3]
    assert [point.step for point in loop.observer.trace] == list(range(9))
    # Every part that moves is known: a tiny step does what its slope says.
    assert all(point.trust_ratio > 0 for point in loop.observer.trace)


def test_a_closure_inside_step_is_measured_with_its_own_batch():
    plain = Loop()
    expected = plain.run(4)
    loop = Loop()

    def closure():
        loop.optimizer.zero_grad()
        loss = loop.loss()
        loss.backward()
        loop.observer.see(loss)  # too late for this step, and not for the next one either
        return loss

    for step in range(4):
        loop.batch = loop.batches[step]
        loop.optimizer.step(closure)
    assert [point.K for point in loop.observer.trace] == pytest.approx(expected, rel=1e-6)


def test_a_skipped_step_leaves_nothing_behind():
    loop = Loop(next_batch=True)
    loop.run(2, see=True)
    loop.batch = loop.batches[9]  # seen, and then skipped as a gradient scaler does
    loop.optimizer.zero_grad()
    loss = loop.loss()
    loss.backward()
    loop.observer.see(loss)
    loop.run(2, see=True)
    loop.batch = loop.batches[2]
    point = loop.observer.trace[2]
    assert [p.step for p in loop.observer.trace] == [0, 1, 2, 3]
    same = Loop()
    same.run(3)
    assert point.loss == pytest.approx(same.observer.trace[2].loss)
    assert pytest.approx(same.observer.trace[2].K, rel=1e-5) == point.K


@pytest.mark.parametrize("mistake", ["micro-batch", "clipped", "scaled later"])
def test_what_see_is_told_is_checked_again_and_again(mistake):
    loop = Loop()
    for step in range(9):
        loop.batch = loop.batches[step]
        loop.optimizer.zero_grad()
        loss = loop.loss()
        loss.backward()
        if mistake == "micro-batch":
            loss = loss * 1.005
        elif mistake == "clipped" and step:
            nn.utils.clip_grad_norm_(loop.model.parameters(), 1e-2)
        elif mistake == "scaled later" and step >= 5:
            for p in loop.model.parameters():
                p.grad.mul_(8)
        loop.observer.see(loss)
        if step == {"micro-batch": 0, "clipped": 1, "scaled later": 7}[mistake]:
            with pytest.raises(ValueError, match="see: expected the loss of the closure"):
                loop.optimizer.step()
            return
        loop.optimizer.step()


def test_a_whole_loop_inside_autocast_sees_the_step():
    loop = Loop(lr=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        K = loop.run(3)
    assert all(value > 0 for value in K)
    exact = Loop(lr=1e-2).run(3)
    assert pytest.approx(exact, rel=0.3) == K


def test_inference_mode_around_the_step():
    loop = Loop()
    loop.loss().backward()
    with torch.inference_mode():
        loop.optimizer.step()
    assert loop.observer.trace[0].K > 0


class Averaging(nn.Module):
    """Keeps an average by putting a new tensor into its buffer, and a mask that is expanded."""

    def __init__(self):
        super().__init__()
        self.inner = layers(6, 3)
        self.register_buffer("average", torch.zeros(3))
        self.register_buffer("mask", torch.ones(1, 1).expand(16, 3))

    def forward(self, x):
        y = self.inner(x) * self.mask
        self.average = 0.9 * self.average + 0.1 * y.detach().mean(0)
        return y


def test_buffers_that_a_forward_pass_replaces_are_put_back():
    loop = Loop(Averaging(), next_batch=True)
    loop.run(5, see=True)
    plain = Loop(Averaging(), every=100)
    plain.observer.close()
    plain.observer.step = 0
    for step in range(5):
        plain.batch = plain.batches[step]
        plain.optimizer.zero_grad()
        plain.loss().backward()
        plain.optimizer.step()
    assert torch.equal(loop.model.average, plain.model.average)


def test_state_in_buffers_is_no_randomness():
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)))
    loop = Loop(model)
    assert all(value > 0 for value in loop.run(3))


def test_a_penalty_on_gradients_can_be_judged_by_the_next_batch():
    loop = Loop(next_batch=True)

    def loss():
        x = loop.batch.clone().requires_grad_(True)
        y = loop.model(x).square().mean()
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return y + slope.square().sum()

    loop.observer.closure = loop.loss = loss
    loop.run(3, see=True)
    assert loop.observer.trace[2].K_next is not None


def test_a_loss_that_is_lost_does_not_stop_training():
    loop = Loop(hessian=True, optimizer=torch.optim.SGD, norm="euclidean")
    loop.run(1)
    loop.batches[1] = math.nan
    loop.run(2)
    assert [point.step for point in loop.observer.trace] == [0, 1, 2]
    assert loop.observer.trace[0].H > 0
    assert math.isnan(loop.observer.trace[1].H)
    assert math.isnan(loop.observer.trace[1].K)


def test_an_optimizer_that_accelerate_prepared():
    Accelerator = pytest.importorskip("accelerate", reason="needs accelerate").Accelerator

    model = layers(6, 3)
    accelerator = Accelerator(cpu=True)
    prepared, optimizer = accelerator.prepare(model, SignSGD(model.parameters(), lr=1e-2))
    x = torch.randn(4, 6)
    observer = CurvatureObserver(model, optimizer, lambda: prepared(x).square().mean(), every=1)
    accelerator.backward(prepared(x).square().mean())
    optimizer.step()
    assert observer.counted.name == "linf"
    assert observer.trace[0].K > 0


def test_after_close_nothing_is_copied():
    loop = Loop()
    loop.observer.close()
    loop.loss().backward()
    loop.observer.see(loop.loss())
    assert loop.observer._seen is None


class TestBadInput:
    def test_sparse_gradients(self):
        model = nn.Embedding(5, 3, sparse=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = lambda: model(torch.tensor([1, 2])).square().sum()  # noqa: E731
        CurvatureObserver(model, optimizer, loss)
        loss().backward()
        with pytest.raises(ValueError, match=r"expected sparse=False .* got a sparse gradient"):
            optimizer.step()

    def test_an_optimizer_that_steps_inside_backward(self):
        model = layers(3, 1)
        optimizer = SignSGD(model.parameters(), lr=1e-2)
        loss = lambda: model(torch.ones(2, 3)).square().mean()  # noqa: E731
        CurvatureObserver(model, optimizer, loss)
        for p in model.parameters():
            p.register_post_accumulate_grad_hook(lambda _: optimizer.step())
        with pytest.raises(ValueError, match="expected an optimizer that steps after backward"):
            loss().backward()

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"every": 2.5}, "every: expected a whole number of updates of at least 1, got 2.5"),
            ({"every": "3"}, "every: expected a whole number .* got '3'"),
            ({"lower_bound": None}, "lower_bound: expected a finite loss, got None"),
        ],
    )
    def test_numbers(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            Loop(**options)

    def test_no_optimizer(self):
        with pytest.raises(ValueError, match="expected at least one optimizer, got an empty list"):
            CurvatureObserver(layers(3, 1), [], lambda: None)

    def test_the_state_of_another_model(self):
        loop = Loop(next_batch=True)
        loop.run(1)
        other = Loop(layers(6, 4), next_batch=True)
        with pytest.raises(ValueError, match="expected the state of a model with 2 parameters"):
            other.observer.load_state_dict(loop.observer.state_dict())
