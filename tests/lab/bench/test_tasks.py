from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from autowarmup.lab.bench.rules import DIGITS_SHAPES
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.stacked import stack_parameters
from autowarmup.lab.bench.tasks import Digits, Text, task_of
from autowarmup.lab.train.model import token_loss

DIGITS = Setup("lion", 0.0, model="digits", batch=32, steps=20)


@pytest.fixture(scope="module")
def text(tiny):
    return replace(tiny, batch=4)


def single_loss(model, batch):
    """The network written as one would without replicas."""
    x, labels = batch[:, :-1], batch[:, -1].long()
    x = torch.relu(model["first"](x))
    x = torch.relu(model["second"](x))
    return F.cross_entropy(model["head"](x), labels)


def test_a_set_up_names_its_task(text):
    assert isinstance(task_of(DIGITS), Digits)
    assert isinstance(task_of(text), Text)


def test_a_slice_of_the_stacked_digits_is_the_single_network():
    task = Digits(DIGITS)
    models = [task.model(seed) for seed in (0, 1)]
    batches = torch.stack([task.batch(seed, 5) for seed in (0, 1)])
    parameters = {k: p.requires_grad_() for k, p in stack_parameters(models).items()}
    losses = task.losses(parameters, batches)
    gradients = torch.autograd.grad(losses.sum(), list(parameters.values()))
    assert losses[0] != losses[1]
    for k, model in enumerate(models):
        loss = single_loss(model, batches[k])
        assert losses[k].item() == pytest.approx(loss.item(), rel=1e-6)
        own = torch.autograd.grad(loss, list(model.parameters()))
        for g, stacked in zip(own, gradients, strict=True):
            assert torch.allclose(stacked[k], g, rtol=1e-4, atol=1e-7)


def test_the_digits_are_split_once_and_for_all():
    task = Digits(DIGITS)
    assert (len(task.train), len(task.held_out)) == (1437, 360)
    (same,) = task.evaluation(full=True)
    assert torch.equal(same, task.evaluation(full=False)[0])
    assert torch.equal(same, task.held_out)
    assert same.dtype == torch.float32
    assert set(task.train[:, -1].tolist()) == set(map(float, range(10)))
    assert [tuple(layer.weight.shape) for layer in task.model(0).values()] == [*DIGITS_SHAPES]


def test_random_labels_replace_a_share_of_the_training_ones_only():
    clean, noisy = Digits(DIGITS), Digits(replace(DIGITS, noise=0.2))
    other = clean.train[:, -1] != noisy.train[:, -1]
    # A tenth of the random labels happen to be right; 5 standard deviations of the binomial.
    assert float(other.float().mean()) == pytest.approx(0.18, abs=5 * (0.18 * 0.82 / 1437) ** 0.5)
    assert torch.equal(clean.train[:, :-1], noisy.train[:, :-1])
    assert torch.equal(clean.held_out, noisy.held_out)
    # The same ones each time that the task is built, whatever the seed of the run.
    assert torch.equal(noisy.train, Digits(replace(DIGITS, noise=0.2)).train)
    assert torch.equal(clean.batch(3, 7)[:, :-1], noisy.batch(3, 7)[:, :-1])


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_batch_is_a_function_of_seed_and_step(text, noise):
    for setup in (replace(DIGITS, noise=noise), replace(text, noise=noise)):
        task, again = task_of(setup), task_of(setup)
        task.batch(9, 9)  # what was drawn before does not matter
        torch.manual_seed(1)
        batch = task.batch(1, 2)
        assert len(batch) == setup.batch
        assert torch.equal(batch, again.batch(1, 2))
        assert not torch.equal(batch, task.batch(1, 3))
        assert not torch.equal(batch, task.batch(2, 2))


def test_random_tokens_replace_their_share(text):
    clean, noisy = Text(text), Text(replace(text, noise=0.2))
    pairs = [(clean.batch(0, step), noisy.batch(0, step)) for step in range(100)]
    before, after = (torch.stack(side).numpy() for side in zip(*pairs, strict=True))
    changed = before != after
    share = 0.2 * 255 / 256
    assert changed.mean() == pytest.approx(share, abs=5 * (0.16 / before.size) ** 0.5)
    assert before.dtype == after.dtype == np.int64
    assert (after.min(), after.max()) == (0, 255)
    # Other places at each step and for each seed.
    seed = (clean.batch(1, 0) != noisy.batch(1, 0)).numpy()
    for other in (changed[1], seed):
        assert (changed[0] & other).sum() < changed[0].sum() / 2
    for full in (True, False):
        for plain, same in zip(
            clean.evaluation(full=full), noisy.evaluation(full=full), strict=True
        ):
            assert torch.equal(plain, same)


def test_a_slice_of_the_stacked_text_is_the_single_model(text):
    task = Text(text)
    models = [task.model(seed) for seed in (0, 1)]
    batches = torch.stack([task.batch(seed, 0) for seed in (0, 1)])
    losses = task.losses(stack_parameters(models), batches)
    for k, model in enumerate(models):
        with torch.no_grad():
            assert losses[k].item() == pytest.approx(token_loss(model, batches[k]).item(), rel=1e-5)


def test_the_short_evaluation_is_a_quarter_of_the_full_one(text):
    task = Text(text)
    full, short = (torch.cat(task.evaluation(full=full)) for full in (True, False))
    assert full.shape == (256, task.length + 1)
    assert torch.equal(short, full[::4])


def test_a_seed_is_a_model(text):
    for setup in (DIGITS, text):
        task = task_of(setup)
        first, again, other = (
            torch.cat([p.flatten() for p in task.model(seed).parameters()]) for seed in (0, 0, 1)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
