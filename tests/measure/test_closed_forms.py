"""Every quantity against objectives whose curvature is known in closed form, in each norm."""

from __future__ import annotations

import math

import pytest
import torch

from autowarmup.measure.blocks import choose_parameters
from autowarmup.measure.probe import probe_step
from autowarmup.norms import Frobenius, LInf, Spectral
from autowarmup.rules.gap_law.law import SmoothnessLaw

NORMS = {"linf": LInf(), "frobenius": Frobenius(), "spectral": Spectral("exact")}


def parameter(values):
    return torch.nn.Parameter(torch.as_tensor(values, dtype=torch.float64))


def counted(x, norm):
    return choose_parameters([torch.optim.AdamW([x], lr=1.0)], norm=norm, count="all")


def random_matrix(seed, m=4, n=6):
    return torch.randn(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def norm_pair(name, a):
    return NORMS[name].dual(a).item(), NORMS[name].lmo(a)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("start", [0.3, 1.0, 2.0])
def test_a_ridge_of_cosh_has_curvature_linear_in_the_gap(name, start):
    """f = c (cosh <a, x> - 1), f* = 0: K = ||a||_*^2 (c + gap), for every norm."""
    a, c = random_matrix(1), 0.7
    a = a / NORMS[name].dual(a)
    dual, u = norm_pair(name, a)
    law = SmoothnessLaw(K0=c * dual**2, K1=dual**2, K_rho=0.0)
    x = parameter(start * u / dual)
    t = 1e-4
    seen = probe_step(lambda: c * (torch.cosh((a * x).sum()) - 1), counted(x, name), [-t * u])
    # Between the ends the curvature is that of some gap between theirs.
    assert (
        law.curvature(seen.loss_after)
        <= seen.K * (1 + 1e-9)
        <= law.curvature(seen.loss) * (1 + 2e-9)
    )
    # Two losses leave about 1e-16 / (K t^2 / 2) relative digits.
    assert seen.K_dir == pytest.approx(seen.K, rel=1e-4)
    assert seen.alignment == pytest.approx(1.0, abs=1e-12)
    assert seen.step_norm == pytest.approx(t)


@pytest.mark.parametrize("name", NORMS)
def test_a_ridge_of_tan_squared_has_the_three_term_law(name):
    """f = c A tan^2(b <B, W>): K0 = 2 c A b^2 n^2, K1 = 8 b^2 n^2, K2 = 6 b^2 n^2 / (c A)."""
    B, A, b, c = random_matrix(2), 0.5, 0.8, 1.3
    dual, u = norm_pair(name, B)
    law = SmoothnessLaw(
        K0=2 * A * b**2 * c * dual**2, K1=8 * b**2 * dual**2, K_rho=6 * b**2 * dual**2 / (A * c)
    )
    for angle in (0.1, 0.5, 1.0, 1.3):
        W = parameter(u * angle / (b * dual))
        t = 1e-6 / dual
        seen = probe_step(
            lambda W=W: c * A * torch.tan(b * (B * W).sum()) ** 2, counted(W, name), [-t * u]
        )
        assert pytest.approx(law.curvature((seen.loss + seen.loss_after) / 2), rel=1e-6) == seen.K


def test_separable_tan_squared_stays_under_its_bound():
    """Sum of A tan^2(b x_i) in l_inf: K0 = 2 n A b^2, K1 = 8 b^2, K2 = 6 b^2 / A bound it."""
    A, b, n = 0.4, 1.1, 5
    law = SmoothnessLaw(K0=2 * n * A * b**2, K1=8 * b**2, K_rho=6 * b**2 / A)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        start = (torch.rand(n, generator=generator, dtype=torch.float64) - 0.5) * 2.4 / b
        x = parameter(start)
        move = -0.05 * torch.rand(1, generator=generator, dtype=torch.float64) * start.sign()
        seen = probe_step(lambda x=x: A * (torch.tan(b * x) ** 2).sum(), counted(x, "linf"), [move])
        ceiling = law.curvature(max(seen.loss, seen.loss_after))
        assert ceiling * (1 + 1e-12) >= seen.K
        assert seen.K_dir <= ceiling * (1 + 1e-9)


def test_quadratics_have_one_curvature():
    p = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    x = parameter([1.0, -2.0, 0.5])
    seen = probe_step(
        lambda: (p * x).square().sum() / 2, counted(x, "linf"), [-0.1 * x.detach().sign()]
    )
    assert pytest.approx(14.0) == seen.K  # 1 + 4 + 9: every direction of the l_1 norm adds up
    assert seen.K_dir == pytest.approx(14.0)

    target, W = random_matrix(4), parameter(random_matrix(5))
    move = -0.2 * Spectral("exact").lmo(W.detach() - target)
    seen = probe_step(lambda: (W - target).square().sum() / 2, counted(W, "spectral"), [move])
    assert pytest.approx(4.0) == seen.K  # min(m, n)
    assert seen.K_dir == pytest.approx(4.0)
    assert seen.trust_ratio == pytest.approx(1 - 0.2 * 4.0 / 2 / seen.grad_dual)


@pytest.mark.parametrize("tan", [False, True])
def test_radial_objectives_in_the_euclidean_norm(tan):
    H0, H1 = 0.9, 1.7
    A, b = 0.6, 0.7

    def f(x):
        r = torch.linalg.vector_norm(x)
        return A * torch.tan(b * r) ** 2 if tan else H0 / H1 * (torch.cosh(math.sqrt(H1) * r) - 1)

    law = SmoothnessLaw(2 * A * b**2, 8 * b**2, 6 * b**2 / A) if tan else SmoothnessLaw(H0, H1, 0.0)
    start = torch.tensor([0.6, -0.8, 1.0], dtype=torch.float64)
    x = parameter(start)
    seen = probe_step(lambda: f(x), counted(x, "euclidean"), [-1e-6 * start])
    assert pytest.approx(law.curvature((seen.loss + seen.loss_after) / 2), rel=1e-7) == seen.K


def test_equal_gradients_at_both_ends_certify_nothing():
    """The end-point counterexample: the gradients agree, the ratio is 0, and the loss has risen."""
    width = 0.18
    dip = 4 * math.exp(-((0.5 / width) ** 2))

    def f(s):
        hill = 2 * width * math.sqrt(math.pi) * torch.erf((s - 0.5) / width)
        return (hill - s - dip * s).sum()

    s = parameter([0.0])
    seen = probe_step(lambda: f(s), counted(s, "linf"), [torch.ones(1, dtype=torch.float64)])
    assert pytest.approx(0.0, abs=1e-12) == seen.K
    assert seen.loss_after - seen.loss == pytest.approx(0.274, abs=1e-3)
    # The directional curvature and the trust ratio do say what happened.
    assert seen.K_dir == pytest.approx(2 * (0.274 + 1.0), abs=5e-3)
    assert seen.trust_ratio == pytest.approx(-0.274, abs=1e-3)


def test_weights_are_restored_bit_for_bit():
    x = parameter([0.1, 0.2, 0.3])
    before = x.detach().clone()
    x.grad = torch.full_like(x, 7.0)
    probe_step(lambda: x.exp().sum(), counted(x, "linf"), [torch.full_like(before, -0.123)])
    assert torch.equal(x.detach(), before)
    assert x.grad.tolist() == [7.0] * 3
