"""The observer against the reference probe, and that training does not notice it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Lion, Muon, NormalizedSGD, Signum
from autowarmup.history import Point, Trace
from autowarmup.measure.blocks import choose_parameters
from autowarmup.measure.observer import CurvatureObserver
from autowarmup.measure.probe import K_next_batch, probe_step

STEPS = 8


class Net(nn.Module):
    """Two matrices, two vectors, one buffer that every forward pass changes."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 3)
        self.norm = nn.BatchNorm1d(12)

    def forward(self, x):
        return self.second(torch.tanh(self.norm(self.first(x))))


def batches(count=STEPS):
    generator = torch.Generator().manual_seed(5)
    return [
        (
            torch.randn(16, 6, generator=generator),
            torch.randint(0, 3, (16,), generator=generator),
        )
        for _ in range(count)
    ]


def net():
    torch.manual_seed(0)
    return Net()


OPTIMIZERS = {
    "muon": lambda model: Muon(model, lr=0.02, weight_decay=0.1),
    "lion": lambda model: Lion(model.parameters(), lr=0.01),
    "signum": lambda model: Signum(model.parameters(), lr=0.01),
    "normsgd": lambda model: NormalizedSGD(model.parameters(), lr=0.05),
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
}


class Loop:
    """A training loop with clipping; the observer, if any, sees the current batch."""

    def __init__(self, name="lion", *, see=False, **options):
        self.model = net()
        self.optimizer = OPTIMIZERS[name](self.model)
        self.batch = None
        self.see = see
        self.observer = (
            CurvatureObserver(self.model, self.optimizer, self.loss, **options) if options else None
        )

    def loss(self):
        x, y = self.batch
        return nn.functional.cross_entropy(self.model(x), y)

    def run(self, data, before=lambda: None):
        for batch in data:
            self.batch = batch
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            if self.see:
                self.observer.see(loss)
            nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
            before()
            self.optimizer.step()
        return self


def counting(model):
    """Return a list that grows by one with every forward pass."""
    count = []
    model.register_forward_hook(lambda *_: count.append(1))
    return count


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("see", [False, True])
def test_training_does_not_notice_it(name, see):
    plain = Loop(name).run(batches())
    seen = Loop(name, see=see, every=2, next_batch=True).run(batches())
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, seen.model.state_dict()[key]), key
    for p, q in zip(plain.model.parameters(), seen.model.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
    assert len(seen.observer.trace) == STEPS  # every other step is a probe, those between wait


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("see", [False, True])
def test_it_sees_what_the_reference_probe_sees(name, see):
    loop = Loop(name, see=see, every=1)
    reference = []

    def before():
        """Step a copy of everything, measure that step with the reference."""
        model = copy.deepcopy(loop.model)
        optimizer = OPTIMIZERS[name](model)
        optimizer.load_state_dict(copy.deepcopy(loop.optimizer.state_dict()))
        origin = [p.detach().clone() for p in model.parameters()]
        for p, q in zip(model.parameters(), loop.model.parameters(), strict=True):
            p.grad = q.grad.clone()
        optimizer.step()
        counted = choose_parameters([optimizer])
        at = {id(p): x for p, x in zip(model.parameters(), origin, strict=True)}
        moves = [p.detach() - at[id(p)] for p in counted.parameters]
        with torch.no_grad():
            for p in counted.parameters:
                p.copy_(at[id(p)])
        x, y = loop.batch
        reference.append(
            probe_step(lambda: nn.functional.cross_entropy(model(x), y), counted, moves)
        )

    loop.run(batches(), before)
    assert [point.step for point in loop.observer.trace] == list(range(STEPS))
    for point, expected in zip(loop.observer.trace, reference, strict=True):
        # The reference moves x by fl(x' - x), which misses x' by rounding.
        for key in ("loss", "loss_after", "K", "step_norm", "grad_dual", "alignment"):
            assert getattr(point, key) == pytest.approx(getattr(expected, key), rel=2e-4), key
        resolution = 2 * 4e-7 / point.step_norm**2
        assert point.K_dir == pytest.approx(expected.K_dir, rel=2e-3, abs=resolution)
        assert point.trust_ratio == pytest.approx(expected.trust_ratio, rel=1e-3)


def test_see_saves_a_pass_and_changes_no_number():
    calls = {}
    for see in (False, True):
        loop = Loop("lion", see=see, every=2)
        forward, count = loop.model.forward, []
        loop.model.forward = lambda x, forward=forward, count=count: (count.append(1), forward(x))[
            1
        ]
        loop.run(batches())
        calls[see] = len(count), [point.to_dict() for point in loop.observer.trace]
    probes = STEPS // 2
    once = 2  # the check that the loss is deterministic
    assert calls[False][0] == STEPS + once + 2 * probes
    compared = 3  # the first, second and fourth time
    assert calls[True][0] == STEPS + once + compared + probes
    for a, b in zip(calls[False][1], calls[True][1], strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_only_a_counter_moves_between_probes():
    loop = Loop("lion", every=100)
    count = counting(loop.model)
    loop.run(batches())
    assert len(count) == STEPS + 4  # the first update was probed
    assert [point.step for point in loop.observer.trace] == [0]
    assert loop.observer.step == STEPS
    assert loop.observer._probe is None
    assert loop.observer._waiting is None
    assert loop.observer._seen is None


def test_the_next_batch_is_independent_of_the_step():
    data = batches()
    loop = Loop("sgd", every=2, next_batch=True, norm="euclidean")
    weights = []
    loop.run(data, lambda: weights.append([p.detach().clone() for p in loop.model.parameters()]))
    point = loop.observer.trace[1]
    assert point.step == 1
    assert point.K is None
    model = net()

    def value_at(values, batch):
        """Loss and gradient at given weights; buffers do not matter in training mode."""
        with torch.no_grad():
            for p, x in zip(model.parameters(), values, strict=True):
                p.copy_(x)
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        return loss.item(), [p.grad.clone() for p in model.parameters()]

    before, _ = value_at(weights[0], data[1])
    after, new = value_at(weights[1], data[1])
    _, old = value_at(weights[1], data[0])
    moves = [b - a for a, b in zip(weights[0], weights[1], strict=True)]
    norm = torch.cat([d.flatten() for d in moves]).norm().item()
    slope = sum((g * d).sum().item() for g, d in zip(new, moves, strict=True))
    noise = torch.cat([(a - b).flatten() for a, b in zip(new, old, strict=True)]).norm().item()
    assert point.K_next == pytest.approx(K_next_batch(before, after, slope, norm), rel=1e-3)
    assert point.K_noise == pytest.approx(noise / norm, rel=1e-5)


@pytest.mark.parametrize("cut", range(1, STEPS))
def test_resuming_equals_never_having_stopped(cut, tmp_path):
    data = batches()
    whole = Loop("lion", see=True, every=3, next_batch=True).run(data)
    first = Loop("lion", see=True, every=3, next_batch=True).run(data[:cut])
    saved = {
        "model": first.model.state_dict(),
        "optimizer": first.optimizer.state_dict(),
        "observer": first.observer.state_dict(),
    }
    torch.save(saved, tmp_path / "saved.pt")
    saved = torch.load(tmp_path / "saved.pt", weights_only=True)
    rest = Loop("lion", see=True, every=3, next_batch=True)
    rest.model.load_state_dict(saved["model"])
    rest.optimizer.load_state_dict(saved["optimizer"])
    rest.observer.load_state_dict(saved["observer"])
    rest.run(data[cut:])
    assert rest.observer.trace == whole.observer.trace
    assert rest.observer.facts() == whole.observer.facts()


def test_calibration_steps_are_no_updates():
    loop = Loop("lion", every=1)
    loop.batch = batches()[0]
    scheduler = AdaptiveWarmup(loop.optimizer, total_steps=10, rule="flat")
    loop.loss().backward()
    scheduler.calibrate(loop.loss, model=loop.model)
    assert len(loop.observer.trace) == 0
    loop.optimizer.step()
    assert [point.step for point in loop.observer.trace] == [0]


def test_several_optimizers_make_one_update():
    model, data = net(), batches()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim != 2]
    optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=1e-3)]
    batch = data[0]
    observer = CurvatureObserver(
        model, optimizers, lambda: nn.functional.cross_entropy(model(batch[0]), batch[1]), every=1
    )
    for batch in data:
        nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert observer.counted.name == "spectral"
    assert observer.counted.facts()["blocks"] == 2
    assert [point.step for point in observer.trace] == list(range(STEPS))
    # Both optimizers' moves count in the loss: the losses of a point are those around the update.
    assert all(point.loss_after != point.loss for point in observer.trace)


def test_close_lets_go():
    loop = Loop("lion", every=1).run(batches(2))
    loop.observer.close()
    loop.run(batches(2))
    assert len(loop.observer.trace) == 2


def test_points_go_through_a_file(tmp_path):
    loop = Loop("lion", every=2, next_batch=True).run(batches())
    loop.observer.trace.write(tmp_path / "trace.jsonl")
    again = Trace.read(tmp_path / "trace.jsonl")
    assert again == loop.observer.trace
    assert isinstance(again[0], Point)
    assert again[0].gap == again[0].loss


def test_the_gap_is_the_loss_above_lower_bound():
    loop = Loop("lion", every=1, lower_bound=0.25).run(batches(1))
    assert loop.observer.trace[0].gap == loop.observer.trace[0].loss - 0.25


def test_a_part_that_the_loss_does_not_see_is_no_obstacle():
    model = nn.ModuleDict({"used": nn.Linear(3, 2), "unused": nn.Linear(3, 2)})
    optimizer = Signum(model.parameters(), lr=0.01)
    x = torch.ones(4, 3)
    observer = CurvatureObserver(
        model, optimizer, lambda: model["used"](x).square().mean(), every=1, next_batch=True
    )
    for _ in range(3):
        optimizer.zero_grad()
        model["used"](x).square().mean().backward()
        optimizer.step()
    assert [point.step for point in observer.trace] == [0, 1, 2]
    assert all(point.K > 0 for point in observer.trace)


def test_an_update_that_moves_nothing_has_no_curvature():
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    observer = CurvatureObserver(model, optimizer, lambda: model.weight.square().sum(), every=1)
    model.weight.square().sum().backward()
    optimizer.step()
    assert observer.trace[0].K != observer.trace[0].K  # nan, and no error in the middle of a run


def test_the_hessian_comes_along():
    model = nn.Linear(3, 1, bias=False)
    scale = torch.tensor([1.0, -5.0, 2.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = lambda: (scale * model.weight.square()).sum() / 2  # noqa: E731
    observer = CurvatureObserver(model, optimizer, loss, every=1, hessian=True)
    loss().backward()
    optimizer.step()
    assert pytest.approx(5.0, rel=1e-5) == observer.trace[0].H


class TestBadInput:
    def test_an_optimizer_without_a_known_norm(self):
        model = net()
        with pytest.raises(ValueError, match=r"got Rprop; pass norm='linf'"):
            CurvatureObserver(model, torch.optim.Rprop(model.parameters()), lambda: None)

    @pytest.mark.parametrize("every", [0, -1])
    def test_every(self, every):
        model = net()
        with pytest.raises(ValueError, match=r"every: expected .* at least 1, got"):
            CurvatureObserver(model, Lion(model.parameters()), lambda: None, every=every)

    def test_lower_bound(self):
        model = net()
        with pytest.raises(ValueError, match="lower_bound: expected a finite loss, got nan"):
            CurvatureObserver(
                model, Lion(model.parameters()), lambda: None, lower_bound=float("nan")
            )

    @staticmethod
    def observed(model, loss):
        optimizer = Lion(model.parameters(), lr=1e-3)
        CurvatureObserver(model, optimizer, loss)
        loss().backward()
        optimizer.step()

    def test_dropout(self):
        model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 1))
        with pytest.raises(ValueError, match=r"dropout is on \(1\); set its p to 0"):
            self.observed(model, lambda: model(torch.ones(2, 6)).square().mean())

    def test_random_numbers(self):
        model = nn.Linear(6, 1)
        with pytest.raises(ValueError, match="draws random numbers at each call"):
            self.observed(model, lambda: model(torch.randn(2, 6)).square().mean())

    def test_a_closure_that_changes_its_batch(self):
        model, data = nn.Linear(6, 1), iter(x for x, _ in batches(99))
        with pytest.raises(ValueError, match="expected the same batch at every call"):
            self.observed(model, lambda: model(next(data)).square().mean())

    @pytest.mark.parametrize("loss", [lambda: 1.0, lambda: torch.ones(2), lambda: torch.ones(())])
    def test_a_closure_without_a_graph(self, loss):
        model = nn.Linear(6, 1)
        optimizer = Lion(model.parameters())
        CurvatureObserver(model, optimizer, loss)
        model(torch.ones(2, 6)).sum().backward()
        with pytest.raises(ValueError, match="expected a scalar tensor with its graph, got"):
            optimizer.step()

    def test_see_with_another_loss(self):
        loop = Loop("lion", every=1)
        loop.batch = batches()[0]
        (2 * loop.loss()).backward()
        loop.observer.see(loop.loss())
        with pytest.raises(ValueError, match=r"see: expected the loss of the closure .* apart"):
            loop.optimizer.step()
