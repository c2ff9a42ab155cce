"""kappa from the optimizer: the published numbers at the shapes of LLaMA-124M."""

from __future__ import annotations

import pytest
import torch
from lion_pytorch import Lion as PeerLion
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw, Lion, Muon, NormalizedSGD, SignSGD, Signum
from autowarmup.norms import norm_of
from autowarmup.optimizer_class import constraint_of, kappa_of


def llama_124m() -> nn.ModuleDict:
    """The 2-D parameters of LLaMA-124M (d 768, 12 layers, tied head), without storage."""
    shapes = [(768, 768)] * 4 + [(2048, 768)] * 2 + [(768, 2048)]
    layers = nn.ModuleList(
        nn.ModuleList(nn.Linear(n, m, bias=False, device="meta") for m, n in shapes)
        for _ in range(12)
    )
    return nn.ModuleDict({"embed": nn.Embedding(50304, 768, device="meta"), "layers": layers})


def test_published_kappas():
    model = llama_124m()
    assert kappa_of([Muon(model, lr=1e-3)]) == pytest.approx(6.528e4, rel=1e-12)
    hidden = [p for name, p in model.named_parameters() if "embed" not in name]
    split = [torch.optim.Muon(hidden, lr=1e-3), torch.optim.AdamW([model["embed"].weight])]
    assert kappa_of(split) == 65280.0
    for sign in (Lion, PeerLion, Signum, SignSGD):
        assert kappa_of([sign(model.parameters(), lr=1e-3)]) == pytest.approx(1.236e8, rel=1e-3)
    assert kappa_of([NormalizedSGD(model.parameters(), lr=1e-3)]) == 85.0


def test_a_rule_that_needs_kappa_derives_it():
    weight = nn.Parameter(torch.zeros(8, 4))
    scheduler = AdaptiveWarmup(Lion([weight], lr=1e-3), 100, rule="accurate")
    assert scheduler.state.run.kappa == 32.0


def test_other_optimizers_are_refused_with_a_way_out():
    weight = nn.Parameter(torch.zeros(8, 4))
    with pytest.raises(ValueError, match=r"got AdamW; .*rule='flat'"):
        AdaptiveWarmup(torch.optim.AdamW([weight]), 100, rule="accurate")
    AdaptiveWarmup(torch.optim.AdamW([weight]), 100, rule=GapLaw(end="accurate", kappa=32))
    bias = nn.Parameter(torch.zeros(8))
    with pytest.raises(ValueError, match="at least one"):
        kappa_of([Lion([bias], lr=1e-3)])
    with pytest.raises(ValueError, match="linf and spectral"):
        kappa_of([Lion([bias], lr=1e-3), torch.optim.Muon([weight])])


@pytest.mark.parametrize("make", [torch.optim.Muon, PeerLion])
def test_optimizers_of_others_have_the_kappa_of_our_norms(make):
    optimizer = make([nn.Parameter(torch.zeros(3, 5))], lr=1e-3)
    found = constraint_of(optimizer, optimizer.param_groups[0])
    norm = norm_of(optimizer, optimizer.param_groups[0])
    assert (found[0], found[1]((3, 5))) == (norm.name, norm.kappa((3, 5)))
