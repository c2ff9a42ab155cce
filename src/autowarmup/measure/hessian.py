"""Curvature of a loss by Hessian-vector products: the quantity of paper B (arXiv 2510.03164).

`(H0, H1)`-smoothness bounds the operator norm ||Hess f(w)|| = max |eigenvalue| by H0 + H1 gap. A
product H v is the gradient of <grad f, v>, about twice the work of a gradient; Lanczos finds both
ends of the spectrum in a few dozen of them, from below: a Ritz value never lies outside.

Example:
    >>> w = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    >>> found = hessian_extremes(lambda: (3 * w[0] ** 2 - 5 * w[1] ** 2) / 2, [w])
    >>> round(found.largest, 4), round(found.smallest, 4), round(found.norm, 4)
    (3.0, -5.0, 5.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from autowarmup.measure.lanczos import Extremes, lanczos, random_start, working
from autowarmup.measure.passes import Closure, Gradients, scalar_loss, undisturbed

Closures = Closure | Sequence[Closure]


def hessian_product(
    closures: Closures,
    parameters: Iterable[Tensor],
    vector: Sequence[Tensor],
    *,
    model: nn.Module | None = None,
) -> list[Tensor]:
    """Return H v for the Hessian of the mean of the closures' losses.

    With one closure per minibatch of equal size, the mean is the full-batch loss. Gradients in
    `.grad` and the random state are left as they are; random numbers drawn by the closures
    (dropout) are the same at every call.

    Args:
        closures: each returns a scalar loss with its graph, without backward.
        parameters: w, leaves of the graph; rows and columns of those that a loss does not depend
            on are zero.
        vector: v, a tensor for each parameter, of its shape.
        model: give it when a forward pass changes its buffers (BatchNorm); they are set back.

    Returns:
        A tensor for each parameter, of its shape, at least in float32.

    Raises:
        ValueError: no parameters, one without a gradient, one twice, a vector of another shape, or
            a loss that is not a finite scalar with a graph that reaches the parameters.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> hessian_product(lambda: w[0] * w[1] ** 2, [w], [torch.tensor([1.0, 0.0])])
        [tensor([0., 4.])]
    """
    hessian = _Hessian(closures, parameters, model)
    got, expected = ([tuple(x.shape) for x in xs] for xs in (vector, hessian.parameters))
    if got != expected:
        raise ValueError(
            "vector: expected one tensor for each parameter, of its shape, "
            f"i.e. {expected}, got {got}"
        )
    out = [torch.zeros_like(p, dtype=working(p)) for p in hessian.parameters]
    with hessian.open():
        hessian.add_product(vector, out)
    return out


def hessian_extremes(
    closures: Closures,
    parameters: Iterable[Tensor],
    *,
    tol: float = 1e-3,
    most: int = 60,
    seed: int = 0,
    reorthogonalize: bool = False,
    model: nn.Module | None = None,
) -> Extremes:
    """Return the two ends of the spectrum of the Hessian of the mean of the closures' losses.

    It stops when the end with the larger magnitude, and with it `norm`, is known to `tol`; the
    other end may still lie a little inside. Three vectors of the size of the model are held beside
    the graph of one closure.

    Args:
        closures, parameters, model: as for `hessian_product`.
        tol: relative tolerance on the residual of the end with the larger magnitude.
        most: most products; `converged` says whether they were enough.
        seed: of the start vector.
        reorthogonalize: hold all Lanczos vectors, and hold them orthogonal: `most` vectors of
            memory, for ends that are far apart in magnitude and both wanted to the last digit.

    Raises:
        ValueError: as for `hessian_product`; a product that is not finite; `tol` or `most` not
            above 0.
    """
    if not tol > 0.0 or most < 1:
        raise ValueError(f"expected tol > 0 and most >= 1, got tol={tol}, most={most}")
    hessian = _Hessian(closures, parameters, model)
    start = random_start(hessian.parameters, seed)
    with hessian.open():
        return lanczos(
            hessian.add_product, start, tol=tol, most=most, reorthogonalize=reorthogonalize
        )


def norm_on_batch(closure: Closure, parameters: Sequence[Tensor], loss: float) -> float:
    """Return the operator norm of the Hessian; nan where it is not known to 1 %."""
    if not math.isfinite(loss):
        return math.nan
    try:
        seen = hessian_extremes(closure, parameters)
    except ValueError:  # an infinite gradient; the run goes on, as it does without a probe
        return math.nan
    except RuntimeError as error:
        if "donated" not in str(error):
            raise
        raise ValueError(
            "hessian=True differentiates twice, which compiled models do not allow: expected a "
            "loss closure on the model as it was before torch.compile"
        ) from error
    return seen.norm if seen.converged or seen.residual <= 0.01 * seen.norm else math.nan


class _Hessian:
    """v -> H v. The graph of a single closure is made once and serves every product."""

    def __init__(
        self, closures: Closures, parameters: Iterable[Tensor], model: nn.Module | None
    ) -> None:
        self.closures = [closures] if callable(closures) else list(closures)
        self.parameters = list(parameters)
        self.model = nn.Module() if model is None else model
        self.kept: Gradients | None = None
        for name in ("closures", "parameters"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
        if not all(p.requires_grad for p in self.parameters):
            raise ValueError("parameters: expected requires_grad=True for all, got a frozen one")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise ValueError("parameters: expected each one once, got one twice")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the state that forward passes change; products are taken inside."""
        # The fused attention kernels have no second derivative, the plain formula has.
        plain = sdpa_kernel(SDPBackend.MATH)
        with undisturbed(self.model, self.parameters), plain, torch.enable_grad():
            try:
                yield
            finally:
                self.kept = None

    def add_product(self, vector: Sequence[Tensor], out: Sequence[Tensor]) -> None:
        """Add H v to `out`."""
        if len(self.closures) == 1:
            self.kept = self.kept or self._gradient(self.closures[0])
            self._add(self.kept, vector, out)
            return
        # The same random numbers in every pass, or H would be another matrix each time.
        with undisturbed(self.model, self.parameters):
            for closure in self.closures:
                self._add(self._gradient(closure), vector, out)

    def _gradient(self, closure: Closure) -> Gradients:
        """Return the gradient with its graph, `None` where the loss does not depend."""
        loss = scalar_loss(closure)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(f"the Hessian needs a finite loss: got {value}")
        grads = torch.autograd.grad(loss, self.parameters, create_graph=True, allow_unused=True)
        if all(g is None for g in grads):
            raise ValueError("the loss must depend on the parameters given: got one that does not")
        bad = sum(g is not None and not bool(g.detach().isfinite().all()) for g in grads)
        if bad:
            raise ValueError(
                f"the Hessian needs a finite gradient: got nan or inf in {bad} of "
                f"{len(grads)} parameters"
            )
        return list(grads)

    def _add(self, gradient: Gradients, vector: Sequence[Tensor], out: Sequence[Tensor]) -> None:
        pairs = zip(gradient, vector, strict=True)
        # A gradient without a graph is constant: the loss is linear in that parameter.
        bent = [(g, v.to(g)) for g, v in pairs if g is not None and g.requires_grad]
        if not bent:
            return
        gradients, vectors = zip(*bent, strict=True)
        keep = gradient is self.kept
        products = torch.autograd.grad(
            gradients, self.parameters, vectors, retain_graph=keep, allow_unused=True
        )
        with torch.no_grad():
            for total, product in zip(out, products, strict=True):
                if product is not None:
                    total.add_(product, alpha=1.0 / len(self.closures))
