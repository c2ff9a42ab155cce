"""Lanczos against dense Hessians, closed forms and curvlinops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn
from torch.nn import functional as F

from autowarmup.measure.hessian import hessian_extremes, hessian_product
from autowarmup.measure.lanczos import lanczos, random_start

# torch warns of its own torch.jit.script when forward-mode differentiation is first used.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def small_net(dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Softplus(), nn.Linear(6, 3))
    return net.to(dtype)


def batch(count: int, dtype: torch.dtype = torch.float64, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.randint(0, 3, (count,), generator=generator)


def dense_hessian(closure, parameters) -> Tensor:
    """Return the whole matrix, one row at a time, by two nested loops of autograd."""
    parameters = list(parameters)
    gradient = torch.autograd.grad(closure(), parameters, create_graph=True)
    rows = []
    for entry in torch.cat([g.flatten() for g in gradient]):
        parts = torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True)
        whole = [
            torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters, strict=True)
        ]
        rows.append(torch.cat([g.flatten() for g in whole]))
    return torch.stack(rows)


def flat(blocks) -> Tensor:
    return torch.cat([block.flatten() for block in blocks])


def quadratic(eigenvalues: Tensor, seed: int = 0):
    """Return (closure, parameter) of <w, A w> / 2 with A = Q diag(eigenvalues) Q^T."""
    generator = torch.Generator().manual_seed(seed)
    n = len(eigenvalues)
    square = torch.randn(n, n, generator=generator, dtype=torch.float64)
    q, _ = torch.linalg.qr(square)
    matrix = ((q * eigenvalues.double()) @ q.T).to(eigenvalues)
    w = nn.Parameter(torch.randn(n, generator=generator, dtype=torch.float64).to(eigenvalues))
    return (lambda: (w @ matrix @ w) / 2), w


@pytest.mark.parametrize("seed", range(4))
def test_products_and_extremes_are_those_of_the_dense_matrix(seed: int) -> None:
    net, (x, y) = small_net(seed=seed), batch(30)
    parameters = list(net.parameters())
    for p in parameters:
        p.data.mul_(3)  # far from a minimum: clearly indefinite

    def closure() -> Tensor:
        return F.cross_entropy(net(x), y)

    dense = dense_hessian(closure, parameters)
    vector = random_start(parameters, seed)
    product = hessian_product(closure, parameters, vector)
    torch.testing.assert_close(flat(product), dense @ flat(vector), rtol=1e-10, atol=1e-12)

    values = torch.linalg.eigvalsh(dense)
    exact = hessian_extremes(closure, parameters, tol=1e-10, most=200, reorthogonalize=True)
    assert exact.converged
    assert exact.largest == pytest.approx(values[-1].item(), rel=1e-9)
    assert exact.norm == pytest.approx(values.abs().max().item(), rel=1e-9)
    usual = hessian_extremes(closure, parameters)
    assert usual.converged
    assert usual.products < 60
    assert usual.norm == pytest.approx(exact.norm, rel=1e-5)  # the square of tol, about
    assert usual.norm <= exact.norm * (1 + 1e-12)  # from below


@FORWARD_MODE
def test_products_are_those_of_torch_func() -> None:
    net, (x, y) = small_net(), batch(12)
    parameters = dict(net.named_parameters())

    def loss(values: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(net, values, (x,)), y)

    vector = random_start(list(parameters.values()), 3)
    with torch.no_grad():  # the caller may be inside
        ours = hessian_product(lambda: loss(parameters), parameters.values(), vector)
    hessian = torch.func.hessian(loss)(parameters)
    for name, product in zip(parameters, ours, strict=True):
        blocks = zip(hessian[name].values(), vector, strict=True)
        theirs = sum((torch.tensordot(block, v, dims=v.ndim) for block, v in blocks), start=0)
        torch.testing.assert_close(product, theirs, rtol=1e-10, atol=1e-12)


@FORWARD_MODE
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
def test_curvlinops_says_the_same(dtype: torch.dtype, close: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a DeprecationWarning at import
        linops = pytest.importorskip("curvlinops", reason="needs curvlinops-for-pytorch")
    net, (x, y) = small_net(dtype), batch(24, dtype)
    parameters = list(net.parameters())
    halves = [(x[:12], y[:12]), (x[12:], y[12:])]
    theirs = linops.HessianLinearOperator(net, nn.CrossEntropyLoss(), parameters, halves)
    closures = [lambda x=x, y=y: F.cross_entropy(net(x), y) for x, y in halves]

    vector = random_start(parameters, 5)
    expected = theirs @ flat(vector)
    ours = flat(hessian_product(closures, parameters, vector))
    assert (ours - expected).norm() < close * expected.norm()

    operator = theirs.to_scipy()
    largest = eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]
    smallest = eigsh(operator, k=1, which="SA", return_eigenvectors=False)[0]
    found = hessian_extremes(closures, parameters, tol=1e-6, most=200, reorthogonalize=True)
    assert found.largest == pytest.approx(largest, rel=1e-5)
    assert found.norm == pytest.approx(max(abs(largest), abs(smallest)), rel=1e-5)


@pytest.mark.parametrize("reorthogonalize", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        torch.linspace(0.1, 7.0, 50),
        torch.cat([torch.linspace(-9.0, 1.0, 40), torch.tensor([4.0])]),
        torch.cat([torch.full((30,), 1e-6), torch.tensor([50.0, -49.0])]),
        torch.cat([torch.zeros(200), torch.tensor([3.0])]),
        torch.full((12,), -2.0),
        torch.zeros(9),
        torch.tensor([6.0]),
    ],
    ids=["definite", "indefinite", "two-sided", "one spike", "multiple of one", "zero", "scalar"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_known_spectra(values: Tensor, reorthogonalize: bool, dtype: torch.dtype) -> None:
    closure, w = quadratic(values.to(dtype))
    found = hessian_extremes(closure, [w], reorthogonalize=reorthogonalize)
    assert found.converged
    assert found.norm == pytest.approx(values.abs().max().item(), rel=2e-4, abs=1e-12)
    assert found.residual <= 1e-3 * found.norm
    assert found.products <= min(60, len(values)) if reorthogonalize else found.products <= 60


@given(
    st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=25),
    st.integers(0, 2**31),
)
def test_ritz_values_stay_inside_and_the_residual_holds(values: list[float], seed: int) -> None:
    spectrum = torch.tensor(values, dtype=torch.float64)
    out = lanczos(
        lambda v, out: out[0].add_(spectrum * v[0]),
        random_start([spectrum], seed),
        tol=1e-3,
        most=30,
    )
    slack = 1e-9 * max(1.0, spectrum.abs().max().item())
    assert out.largest <= spectrum.max().item() + slack
    assert out.smallest >= spectrum.min().item() - slack
    lead = out.largest if abs(out.largest) >= abs(out.smallest) else out.smallest
    assert (spectrum - lead).abs().min().item() <= out.residual + slack


def test_the_norm_of_an_indefinite_matrix_needs_both_ends() -> None:
    """The dominant end is negative and its rival close: stopping at the first would be wrong."""
    closure, w = quadratic(torch.cat([torch.linspace(-1, 1, 300), torch.tensor([5.0, -5.05])]))
    found = hessian_extremes(closure, [w])
    assert found.norm == pytest.approx(5.05, rel=1e-4)
    assert found.smallest == pytest.approx(-5.05, rel=1e-4)


def test_too_few_products_say_so_and_stay_below() -> None:
    closure, w = quadratic(torch.linspace(1, 10, 400))
    found = hessian_extremes(closure, [w], most=4)
    assert not found.converged
    assert found.products == 4
    assert 5.0 < found.norm < 10.0
    assert found.residual > 1e-2


def test_the_full_batch_is_the_mean_over_equal_minibatches() -> None:
    net, (x, y) = small_net(), batch(30)
    parameters = list(net.parameters())
    parts = list(zip(x.split(10), y.split(10), strict=True))
    closures = [lambda x=x, y=y: F.cross_entropy(net(x), y) for x, y in parts]

    def full() -> Tensor:
        return F.cross_entropy(net(x), y)

    vector = random_start(parameters, 0)
    torch.testing.assert_close(
        flat(hessian_product(closures, parameters, vector)),
        flat(hessian_product(full, parameters, vector)),
    )
    one, many = (hessian_extremes(c, parameters) for c in (full, closures))
    assert many.norm == pytest.approx(one.norm, rel=1e-9)
    assert many.products == one.products


def test_the_same_seed_gives_the_same_numbers() -> None:
    closure, w = quadratic(torch.linspace(-1, 10, 80))
    assert hessian_extremes(closure, [w], seed=3) == hessian_extremes(closure, [w], seed=3)
    assert hessian_extremes(closure, [w], seed=3) != hessian_extremes(closure, [w], seed=4)


def test_parameters_without_curvature_have_zero_rows() -> None:
    """One that the loss does not see, one in which it is linear, one that enters the others."""
    unseen, linear, w = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(3))

    def closure() -> Tensor:
        return 2 * w.square().sum() + linear.sum()

    vector = [torch.ones(3, dtype=torch.float64)] * 3
    product = hessian_product(closure, [unseen, linear, w], vector)
    assert [part.tolist() for part in product] == [[0] * 3, [0] * 3, [4] * 3]
    assert hessian_extremes(closure, [unseen, linear, w]).norm == pytest.approx(4)
    assert hessian_extremes(lambda: linear.sum(), [unseen, linear]).norm == 0


def test_two_parameters_that_share_a_gradient_are_kept_apart() -> None:
    a, b = (nn.Parameter(torch.ones(4)) for _ in range(2))
    vector = [torch.ones(4), torch.zeros(4)]
    product = hessian_product(lambda: (a + b).square().sum(), [a, b], vector)
    assert [part.tolist() for part in product] == [[2] * 4, [2] * 4]
    assert hessian_extremes(lambda: (a + b).square().sum(), [a, b]).norm == pytest.approx(4)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.into(x).reshape(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def test_fused_attention_has_a_hessian() -> None:
    torch.manual_seed(0)
    net, x = Attention(), torch.randn(2, 6, 8)
    found = hessian_extremes(lambda: net(x).square().mean(), net.parameters())
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        dense = dense_hessian(lambda: net(x).square().mean(), net.parameters())
    assert found.norm == pytest.approx(torch.linalg.eigvalsh(dense).abs().max().item(), rel=1e-3)


@pytest.mark.parametrize("minibatches", [1, 3])
def test_gradients_buffers_and_random_state_are_left_alone(minibatches: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 3))
    x, y = batch(12, torch.float32)
    F.cross_entropy(net(x), y).backward()
    grads = [p.grad for p in net.parameters()]
    values = [g.clone() for g in grads if g is not None]
    weights = [p.detach().clone() for p in net.parameters()]
    buffers = [b.clone() for b in net.buffers()]
    random = torch.get_rng_state()

    closures = [lambda: F.cross_entropy(net(x), y)] * minibatches
    vector = [torch.ones_like(p) for p in net.parameters()]
    first = hessian_product(closures, net.parameters(), vector, model=net)
    found = hessian_extremes(closures, net.parameters(), model=net)

    assert found.converged  # dropout draws the same in every pass: one and the same matrix
    again = hessian_product(closures, net.parameters(), vector, model=net)
    assert all(map(torch.equal, first, again))
    assert all(p.grad is g for p, g in zip(net.parameters(), grads, strict=True))
    assert all(torch.equal(p.grad, v) for p, v in zip(net.parameters(), values, strict=True))
    assert all(map(torch.equal, net.parameters(), weights))
    assert all(map(torch.equal, net.buffers(), buffers))
    assert torch.equal(torch.get_rng_state(), random)


def test_half_precision_weights_get_vectors_in_float32() -> None:
    torch.manual_seed(0)
    w = nn.Parameter(torch.randn(64, dtype=torch.bfloat16))
    scale = torch.linspace(1, 8, 64, dtype=torch.bfloat16)
    product = hessian_product(lambda: (scale * w * w).sum() / 2, [w], [torch.ones(64)])
    assert product[0].dtype == torch.float32
    found = hessian_extremes(lambda: (scale * w * w).sum() / 2, [w], tol=1e-2)
    assert found.norm == pytest.approx(8, rel=2e-2)


def test_only_two_vectors_are_held_beside_the_product() -> None:
    held = set()

    def add_product(v: list[Tensor], out: list[Tensor]) -> None:
        held.update((v[0].data_ptr(), out[0].data_ptr()))
        out[0].add_(spectrum * v[0])

    spectrum = torch.linspace(1, 10, 100)
    lanczos(add_product, random_start([spectrum], 0), tol=1e-6, most=50)
    assert len(held) == 2


ONE = nn.Parameter(torch.ones(2))


@pytest.mark.parametrize(
    ("closures", "parameters", "sentence"),
    [
        ([], [ONE], "closures: expected at least one, got none"),
        (lambda: ONE.sum(), [], "parameters: expected at least one, got none"),
        (lambda: ONE.sum(), [torch.ones(2)], "expected requires_grad=True for all"),
        (lambda: ONE.sum(), [ONE, ONE], "expected each one once, got one twice"),
        (lambda: ONE**2, [ONE], r"scalar tensor with its graph, got a tensor of shape \(2,\)"),
        (lambda: 1.5, [ONE], r"scalar tensor with its graph, got 1\.5"),
        (lambda: ONE.detach().sum(), [ONE], "scalar tensor with its graph"),
        (lambda: (ONE * float("nan")).sum(), [ONE], "needs a finite loss: got nan"),
        (lambda: (ONE - 1).sqrt().sum(), [ONE], "needs a finite gradient: got nan or inf in 1"),
        (lambda: ONE.sum(), [nn.Parameter(torch.ones(1))], "must depend on the parameters given"),
        ((lambda: (ONE - 1).abs().pow(1.5).sum()), [ONE], "must give finite products: got <v, A"),
    ],
)
def test_bad_input_is_one_sentence(closures, parameters, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        hessian_extremes(closures, parameters)


def test_bad_vectors_and_bad_numbers() -> None:
    with pytest.raises(ValueError, match=r"vector: expected .* i\.e\. \[\(2,\)\], got \[\(3,\)\]"):
        hessian_product(lambda: ONE.sum(), [ONE], [torch.ones(3)])
    for wrong in ({"tol": 0.0}, {"tol": float("nan")}, {"most": 0}):
        with pytest.raises(ValueError, match="expected tol > 0 and most >= 1"):
            hessian_extremes(lambda: ONE.square().sum(), [ONE], **wrong)


def test_a_matrix_that_was_read_from_numpy_agrees() -> None:
    rng = np.random.default_rng(0)
    square = rng.standard_normal((40, 40))
    matrix = torch.from_numpy(square + square.T)
    w = nn.Parameter(torch.zeros(40, dtype=torch.float64))
    found = hessian_extremes(lambda: w @ matrix @ w / 2, [w], tol=1e-8, reorthogonalize=True)
    values = np.linalg.eigvalsh(matrix.numpy())
    assert found.largest == pytest.approx(values[-1], abs=1e-6)
    assert found.norm == pytest.approx(np.abs(values).max(), rel=1e-9)
