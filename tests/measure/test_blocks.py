"""Which parameters count in which norm, and that norms added up piece by piece are the norms."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autowarmup import Lion, Muon, NormalizedSGD, SignSGD, Signum
from autowarmup.measure import blocks as blocks_module
from autowarmup.measure.blocks import NormSum, choose_parameters
from autowarmup.norms import EuclideanOverBlocks, Frobenius, LInf, MaxOverBlocks, Spectral


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.hidden = nn.Linear(4, 4)
        self.head = nn.Linear(4, 7)


@pytest.mark.parametrize(
    ("build", "name", "count", "blocks"),
    [
        (lambda m: Muon(m, lr=1e-3), "spectral", "matrices", 3),
        (lambda m: Lion(m.parameters()), "linf", "matrices", 3),
        (lambda m: Signum(m.parameters()), "linf", "matrices", 3),
        (lambda m: SignSGD(m.parameters()), "linf", "matrices", 3),
        (lambda m: NormalizedSGD(m.parameters()), "frobenius", "matrices", 3),
        (lambda m: torch.optim.SGD(m.parameters(), lr=0.1), "euclidean", "all", 5),
        (lambda m: torch.optim.Muon([m.hidden.weight], lr=0.1), "spectral", "matrices", 1),
    ],
)
def test_the_norm_is_read_from_the_optimizer(build, name, count, blocks):
    counted = choose_parameters([build(Net())])
    facts = counted.facts()
    assert (counted.name, counted.count, facts["blocks"]) == (name, count, blocks)


def test_an_optimizer_of_another_library_is_known_by_its_name():
    lion_pytorch = pytest.importorskip("lion_pytorch")
    assert choose_parameters([lion_pytorch.Lion(Net().parameters())]).name == "linf"


def test_constrained_leaves_the_adamw_part_of_a_hybrid_out():
    model = Net()
    for norm in ("auto", "spectral"):
        counted = choose_parameters([Muon(model, lr=1e-3)], norm=norm, count="constrained")
        assert [id(counted.parameters[i]) for i in counted.indices] == [id(model.hidden.weight)]


def test_each_group_is_measured_in_its_own_norm():
    model = Net()
    optimizers = [torch.optim.Muon([model.hidden.weight]), Lion([model.head.weight], lr=1e-3)]
    counted = choose_parameters(optimizers)
    assert counted.name == "linf+spectral"
    x = [torch.diag(torch.tensor([3.0, 2.0, 0.0, 0.0])), torch.full((7, 4), -2.5)]
    assert counted.norm(x) == pytest.approx(3.0)
    assert counted.dual(x) == pytest.approx(5.0 + 70.0)


def test_a_parameter_of_two_optimizers_counts_once_and_frozen_ones_do_not():
    model = Net()
    model.head.weight.requires_grad_(False)
    shared = [torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2)]
    assert choose_parameters(shared).facts()["blocks"] == 4


@pytest.mark.parametrize(
    "name", ["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad"]
)
def test_the_adam_family_is_measured_by_the_largest_entry_and_says_so(name):
    model = Net()
    counted = choose_parameters([getattr(torch.optim, name)(model.parameters())])
    alike = choose_parameters([torch.optim.AdamW(model.parameters())], norm="linf")
    assert (counted.name, counted.indices, counted.count) == ("linf", alike.indices, "matrices")
    assert counted.facts()["about"].startswith(f"{name} has no norm of its own: ")
    assert "about" not in alike.facts()  # the caller chose


def test_beside_an_optimizer_with_a_norm_adamw_counts_in_that_one():
    model = Net()
    parts = [
        torch.optim.Muon([model.hidden.weight]),
        torch.optim.AdamW([model.head.weight]),
    ]
    counted = choose_parameters(parts)
    assert (counted.name, counted.about) == ("spectral", "")


class TestBadInput:
    def test_an_optimizer_without_a_norm(self):
        for name in ("Rprop", "LBFGS"):
            optimizer = getattr(torch.optim, name)(Net().parameters())
            with pytest.raises(ValueError, match=rf"expected a Muon, .*, got {name}; pass norm="):
                choose_parameters([optimizer])

    def test_several_norms_and_some_without(self):
        model = Net()
        optimizers = [
            torch.optim.Muon([model.hidden.weight]),
            Lion([model.head.weight]),
            torch.optim.AdamW([model.embed.weight]),
        ]
        with pytest.raises(ValueError, match=r"several norms \(linf, spectral\) .* expected count"):
            choose_parameters(optimizers)
        assert choose_parameters(optimizers, count="constrained").facts()["blocks"] == 2

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"norm": "nuclear"}, r"norm: expected one of auto, spectral, .*, got 'nuclear'"),
            ({"count": "some"}, r"count: expected one of auto, matrices, .*, got 'some'"),
            ({"norm": "spectral", "count": "all"}, r"needs matrices: expected .* shape \(4,\)"),
        ],
    )
    def test_words(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            choose_parameters([Lion(Net().parameters())], **options)

    def test_nothing_that_counts(self):
        vector = nn.Parameter(torch.ones(3))
        with pytest.raises(ValueError, match="expected at least one trainable parameter"):
            choose_parameters([Lion([vector])])


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=6),
    most=st.integers(1, 30),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["linf", "frobenius", "spectral", "euclidean"]),
)
def test_adding_up_in_lots_gives_the_norm(sizes, most, seed, kind):
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes]
    parameters = [nn.Parameter(torch.zeros_like(x)) for x in values]
    counted = choose_parameters([torch.optim.AdamW(parameters)], norm=kind)
    if kind == "euclidean":
        whole = EuclideanOverBlocks()
    else:
        norm = {"linf": LInf(), "frobenius": Frobenius(), "spectral": Spectral("exact")}[kind]
        whole = MaxOverBlocks([norm] * len(values))
    for which in ("norm", "dual"):
        tally = NormSum(counted, which)
        tally.most = most
        order = torch.randperm(len(values), generator=generator).tolist()
        for index in order:
            tally.add(index, values[index])
            assert tally.held <= max(most, values[index].numel())
        expected = getattr(whole, which)(values).item()
        assert tally.total() == pytest.approx(expected, rel=1e-9)
        assert getattr(counted, which)(values) == pytest.approx(expected, rel=1e-9)


def test_lots_are_small_beside_a_large_model():
    parameters = [nn.Parameter(torch.empty(4096, 4096, device="meta")) for _ in range(8)]
    counted = choose_parameters([torch.optim.SGD(parameters, lr=0.1)])
    entries = sum(p.numel() for p in parameters)
    assert NormSum(counted, "dual").most == entries // blocks_module._SHARE
