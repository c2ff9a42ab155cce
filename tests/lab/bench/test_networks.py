"""A slice of a stacked network is the single network, run by the modules of torch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup import norms
from autowarmup.lab.bench.directions import BETA, Direction
from autowarmup.lab.bench.fleet_runs import initial, train_fleet
from autowarmup.lab.bench.image_networks import ResNet, ViT, patches
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import NETWORKS, Setup
from autowarmup.lab.bench.stacked import stack_parameters
from autowarmup.lab.bench.stacked_lstm import StackedLstm
from autowarmup.lab.bench.tasks import Text, task_of
from autowarmup.lab.train.optimizers import build_optimizer
from autowarmup.norms.polar import newton_schulz

SIDE, CLASSES = 16, 10


def resnet_logits(model: nn.ModuleDict, x: Tensor) -> Tensor:
    x = model["stem"](x.view(-1, 1, SIDE, SIDE))
    for number in range(3):
        block = model[f"block{number}"]
        h = block["conv1"](block["norm1"](x).relu())
        h = block["conv2"](block["norm2"](h).relu())
        x = h + (block["skip"](x) if "skip" in block else x)
    assert x.shape[1:] == (32, 2, 2)
    return model["head"](model["norm"](x).relu().mean((2, 3)))


def vit_logits(model: nn.ModuleDict, x: Tensor) -> Tensor:
    cut = F.unfold(x.view(-1, 1, SIDE, SIDE), ViT.PATCH, stride=ViT.PATCH).mT
    x = model["patch_embed"](cut) + model["place_embed"].weight
    for number in range(ViT.BLOCKS):
        block = model[f"block{number}"]
        h = block["norm1"](x)
        projected = [block[name] for name in "qkv"]
        x = x + F.multi_head_attention_forward(
            *[h.transpose(0, 1)] * 3, ViT.WIDTH, ViT.HEADS,
            torch.cat([each.weight for each in projected]),
            torch.cat([each.bias for each in projected]),
            None, None, False, 0.0, block["o"].weight, block["o"].bias, need_weights=False,
        )[0].transpose(0, 1)  # fmt: skip
        x = x + block["down"](F.gelu(block["up"](block["norm2"](x))))
    return model["head"](model["norm"](x).mean(1))


def randomly_built(build) -> list[nn.ModuleDict]:
    """Two models; norms and biases random too, so that each of them counts."""
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = build()
        for p in model.parameters():
            if p.ndim == 1:
                nn.init.normal_(p, mean=0.5)
        models.append(model)
    return models


def assert_slices(models, losses, single):
    """Compare loss and gradients of each model with those of its slice."""
    parameters = {k: p.requires_grad_() for k, p in stack_parameters(models).items()}
    stacked = losses(parameters)
    gradients = torch.autograd.grad(stacked.sum(), list(parameters.values()))
    assert stacked[0] != stacked[1]
    for k, model in enumerate(models):
        loss = single(model, k)
        assert stacked[k].item() == pytest.approx(loss.item(), rel=1e-5)
        own = torch.autograd.grad(loss, list(model.parameters()))
        for (name, _), g, theirs in zip(model.named_parameters(), gradients, own, strict=True):
            assert torch.allclose(g[k], theirs, rtol=1e-3, atol=1e-6), name
            assert theirs.abs().max() > 1e-6 or name.endswith("k.bias"), name


@pytest.mark.parametrize(
    ("network", "single"),
    [(ResNet(SIDE, CLASSES), resnet_logits), (ViT(SIDE, CLASSES), vit_logits)],
    ids=["resnet", "vit"],
)
def test_pictures(network, single):
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(2, 5, SIDE * SIDE, generator=draw)
    y = torch.randint(CLASSES, (2, 5), generator=draw)

    def losses(parameters):
        logits = network.logits(parameters, x)
        assert logits.shape == (2, 5, CLASSES)
        return torch.stack([F.cross_entropy(logits[k], y[k]) for k in (0, 1)])

    assert_slices(
        randomly_built(network.model),
        losses,
        lambda model, k: F.cross_entropy(single(model, x[k]), y[k]),
    )


def test_the_lstm_is_that_of_torch():
    vocabulary, stacked = 20, StackedLstm()
    draw = torch.Generator().manual_seed(3)
    windows = torch.randint(vocabulary, (2, 3, 8), generator=draw)

    def single(model, k):
        hidden, _ = model["lstm"](model["embed"](windows[k, :, :-1]))
        return F.cross_entropy(model["head"](hidden).flatten(0, 1), windows[k, :, 1:].flatten())

    models = randomly_built(lambda: stacked.model(vocabulary))
    assert_slices(models, lambda parameters: stacked.losses(parameters, windows), single)


def test_text_goes_to_the_lstm_by_its_name(tiny):
    task = Text(replace(tiny, model="lstm"))
    model, batch = task.model(0), task.batch(0, 0)
    assert isinstance(model["lstm"], nn.LSTM)
    assert batch.shape == (tiny.batch, 33)
    loss = task.losses(stack_parameters([model]), batch.unsqueeze(0))
    assert loss.item() == pytest.approx(5.545, abs=0.2)  # log 256


def test_patches_are_squares_in_reading_order():
    x = torch.arange(16.0).repeat(2, 1)
    cut = patches(x, side=4, patch=2)
    assert cut.shape == (2, 4, 4)
    assert cut[1].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize("optimizer", sorted(BETA))
@pytest.mark.parametrize(
    "build",
    [ViT(SIDE, CLASSES).model, ResNet(SIDE, CLASSES).model, lambda: StackedLstm().model(20)],
    ids=["vit", "resnet", "lstm"],
)
def test_directions_of_these_networks_are_the_optimizers_of_the_same_name(optimizer, build):
    """Muon sees the kernels of convolutions as matrices here; there they have to be written so."""
    model = randomly_built(build)[0]
    parameters = stack_parameters([model])
    matrices = {
        name: nn.Parameter(p.detach().flatten(1).clone() if p.ndim == 4 else p.detach().clone())
        for name, p in model.named_parameters()
    }
    lr, decay = 0.01, 0.1
    if optimizer == "muon":
        theirs = norms.Muon(list(matrices.items()), lr=lr, weight_decay=decay)
    else:
        holder = nn.ParameterList(matrices.values())
        theirs = build_optimizer(optimizer, holder, lr=lr, weight_decay=decay)
    ours = Direction(optimizer, parameters, weight_decay=decay)
    draw = torch.Generator().manual_seed(3)
    for _ in range(3):
        gradients = {}
        for name, p in matrices.items():
            p.grad = torch.randn(p.shape, generator=draw)
            gradients[name] = p.grad.reshape(parameters[name].shape)
        theirs.step()
        updates = ours(gradients, parameters)
        for name, x in parameters.items():
            x.mul_(1 - lr * ours.decay(name, x)).sub_(lr * updates[name])
    tolerance = 2e-3 if optimizer == "muon" else 1e-6
    for name, p in matrices.items():
        assert torch.allclose(parameters[name].view_as(p), p, atol=tolerance), name


def test_muon_turns_a_kernel_as_a_matrix_of_its_outputs():
    kernel = torch.zeros(1, 6, 2, 3, 3)
    g = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    u = Direction("muon", {"conv.weight": kernel}, weight_decay=0.1)(
        {"conv.weight": g}, {"conv.weight": kernel}
    )["conv.weight"]
    polar = newton_schulz(g.view(6, 18), dtype=torch.float32)
    assert torch.allclose(u.view(6, 18), polar * 0.2 * 18**0.5, atol=1e-5)


@pytest.mark.parametrize("model", NETWORKS)
def test_these_set_ups_are_fleets_of_the_shapes_that_are_said(model, tiny):
    setup = replace(tiny, model=model)
    assert setup.stacked
    matrices = [p.flatten(1) for p in task_of(setup).model(0).parameters() if p.ndim > 1]
    assert sorted(tuple(p.shape) for p in matrices) == sorted(NETWORKS[model])


def test_a_factor_on_initial_weights_leaves_vectors_alone(tiny):
    for model in ("micro", "lstm"):
        task = Text(replace(tiny, model=model))
        plain, small = initial(task, [0, 1]), initial(task, [0, 1], 0.1)
        for name, p in plain.items():
            assert torch.equal(small[name], p if p.ndim == 2 else 0.1 * p), name


def test_a_fleet_begins_where_its_set_up_says(tiny):
    setup = replace(tiny, model="lstm", init=0.1)
    (record,) = train_fleet([RunPlan(setup, 0, "none")])
    task = Text(setup)
    first = task.losses(initial(task, [0], 0.1), task.batch(0, 0).unsqueeze(0))
    assert record["trace"]["loss"][0] == pytest.approx(first.item(), abs=1e-3)
    assert record["setup"]["init"] == 0.1
    assert RunPlan.of(record).setup == setup


def test_the_factor_is_stored_where_it_is_not_one():
    plain = Setup("lion", 1e-3)
    assert "init" not in plain.to_dict()
    small = replace(plain, init=0.01)
    assert small.to_dict() == {**plain.to_dict(), "init": 0.01}
    assert small.id == f"{plain.id}-init0.01"
    assert Setup(**small.to_dict()) == small
