"""B.1 to B.3 on instances of one family, B.4 on its witnesses, B.5 on random sums -> rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autowarmup.lab.theory import profiles, rules
from autowarmup.lab.theory.bounds import fixed, gd, lmo
from autowarmup.lab.theory.checks_lmo import Case
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Law
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import Method, run
from autowarmup.lab.theory.witnesses import ProductCosh
from autowarmup.lab.theory.zoo import Radial

Floats = NDArray[np.float64]
GD = Method("gd")


def applies(case: Case) -> bool:
    """Whether the (H0, H1) statements speak of a family: Euclidean norm, K_rho = 0."""
    return case.objective.geometry.name == "l2" and not np.any(case.objective.law.K_rho)


def descent(case: Case) -> Iterator[Row]:
    """B.1 with any rate up to 2 / K(gap), and the rates 1 / (a H0 + b H1 gap)."""
    objective, law = case.objective, case.objective.law

    def random_rate(view) -> Floats:
        return case.rng.uniform(0, 2, objective.instances) / law.K(view.gap)

    history = case.run(random_rate, case.gap0 / 1e3, 30, GD)
    before = history.gap[:-1]
    bound = gd.descent(before, history.lr, law.K(before), history.dual)
    yield case.row("B.1 descent", history.gap[1:], bound, scale=case.noise_of(before))
    sharp = 2 * law.K0 * before + law.K1 * before**2
    scale = sharp + law.K0 * case.noise_of(case.gap0) * 1e-6
    yield case.row("B.1 gradient bounded by the gap", history.dual**2, sharp, scale=scale)


def counts(case: Case, steps: int = 200) -> Iterator[Row]:
    """B.2 and B.3."""
    objective, law, gap0 = case.objective, case.objective.law, case.gap0
    # A few instances are asked for less than they have: their counts are 0.
    eps = gap0 / case.rng.choice([0.5, 1.0, 3.0, 30.0], len(gap0), p=[0.05, 0.05, 0.3, 0.6])
    if np.all(objective.mu > 0):
        for a, b in ((1.0, 1.0), (10.0, 20.0)):
            history = case.run(rules.h0h1(law, a, b), eps, steps, GD)
            count = gd.pl_count(law, objective.mu, gap0, eps, a, b)
            statement = f"B.2 count, eta = 1 / ({a:g} H0 + {b:g} H1 gap)"
            yield case.count_row(statement, history, eps, count, steps)
        history = case.run(rules.exact(law), eps, steps, GD)
        count = gd.pl_count(law, objective.mu, gap0, eps)
        yield case.count_row("B.2 count, exact step", history, eps, count, steps)
        history = case.run(rules.fixed(1 / law.K(gap0)), eps, steps, GD)
        count = gd.pl_fixed_count(law, objective.mu, gap0, eps)
        yield case.count_row("B.2 count, fixed 1 / l(gap0)", history, eps, count, steps)
    if case.star:
        yield from _aiming(case, eps, steps)


def _aiming(case: Case, eps: Floats, steps: int) -> Iterator[Row]:
    objective, law, theta = case.objective, case.objective.law, case.objective.zeta
    distance0, gap0 = objective.distance(case.x0), case.gap0
    history = case.run(rules.aiming(law, theta), eps, steps, GD)
    if history.steps:  # none where every instance is asked for less than it has
        before = history.distance[:-1]
        bound = gd.aiming_distance(before, history.gap[:-1], law, theta)
        scale = np.maximum(before**2, 1e-6 * distance0**2)
        yield case.row("B.3 distance", history.distance[1:] ** 2, bound, scale=scale)
    count = gd.aiming_count(law, theta, distance0, gap0, eps)
    yield case.count_row("B.3 count, eta = theta / (2 H0 + H1 gap)", history, eps, count, steps)
    history = case.run(rules.polyak(theta), eps, steps, GD)
    yield case.count_row("B.3 count, Polyak step", history, eps, count, steps)
    if np.all(theta == 1):
        history = case.run(rules.h0h1(law), eps, steps, GD)
        count = gd.aiming_count_unit(law, distance0, gap0, eps)
        yield case.count_row("B.3 count, theta = 1, eta = 1 / l(gap)", history, eps, count, steps)


def fixed_steps(rng: Generator, instances: int) -> Iterator[Row]:
    """B.4: what is stable in one dimension and in the plane, and the minimax lower bounds."""
    H0, H1 = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    z = log_uniform(rng, 0.1, 100, instances)
    gap0, eta = z * H0 / H1, fixed.largest_stable(H0, z)
    for profile in (profiles.COSH, profiles.CORE_TAIL, profiles.HUBER, profiles.SQUARE):
        # A member of the class: any H0' <= H0, H1' <= H1.
        curve, growth = H0 * rng.uniform(0.05, 1, instances), H1 * rng.uniform(0.05, 1, instances)
        member = Radial(profile, curve / growth, np.sqrt(growth), 1)
        x0 = member.start(rng, gap0)
        rate = eta * rng.uniform(0.5, 1, instances)
        history = run(member, x0, rules.fixed(rate), method=GD, steps=100)
        words = "B.4a f <= f(w_0) below eta_1, d = 1"
        yield compare(words, f"random {profile.name} members", history.gap, gap0)
    extremal = Radial(profiles.COSH, H0 / H1, np.sqrt(H1), 1)
    x0 = extremal.start(rng, gap0)
    cycle = run(extremal, x0, rules.fixed(eta), method=GD, steps=1)
    off = np.abs(cycle.x + x0)[:, 0] / np.abs(x0[:, 0])
    yield compare("B.4a f_c has a 2-cycle at eta_1", "extremal cosh, d = 1", off, 1e-9)
    above = run(extremal, x0, rules.fixed(1.001 * eta), method=GD, steps=400)
    words = "B.4a f_c diverges at 1.001 eta_1"
    yield compare(words, "extremal cosh, d = 1", above.gap.max(0), 1.05 * gap0, at_least=True)
    yield _plane(H0, H1, gap0)
    yield _minimax_pl(rng, H0, z, gap0, eta)
    yield _minimax_convex(rng, H0, H1, z, gap0, eta)


def _plane(H0: Floats, H1: Floats, gap0: Floats) -> Row:
    """B.4d: a step 5 % above 2 / (H0 + H1 gap0) leaves the sublevel set of some witness."""
    witness = ProductCosh(H0, H1, np.full(len(H0), 1e-7))
    first = 2 * np.arcsinh(np.sqrt(gap0 * H1 / H0 / 2)) / witness.rates[:, 0]
    x0 = np.stack([first, 1e-3 / witness.rates[:, 1]], 1)
    lr = 1.05 * fixed.stable_in_the_plane(H0, H1, gap0)
    top = run(witness, x0, rules.fixed(lr), method=GD, steps=400).gap.max(0)
    words = "B.4d nothing above 2 / (H0 + H1 gap0) is stable, d = 2"
    return compare(words, "product cosh, share -> 0", top, 1.05 * gap0, at_least=True)


def _minimax_pl(rng: Generator, H0: Floats, z: Floats, gap0: Floats, eta: Floats) -> Row:
    """B.4b: the least over eta of the larger count on the two witnesses, by running them."""
    mu, eps = H0 * log_uniform(rng, 1e-2, 0.3, len(H0)), gap0 / log_uniform(rng, 2, 1e3, len(H0))
    bound = fixed.lower_bound_pl(H0, z, mu, gap0, eps)
    best, steps = np.full(len(H0), np.inf), 2_000
    slow = Radial(profiles.SQUARE, mu, np.ones(len(H0)), 1)
    for share in (0.3, 0.7, 0.999, 1.0):
        # (1 - eta mu)^(2 N) gap0 <= eps: gradient descent on mu w^2 / 2 in closed form. At eta_1
        # and above f_c never arrives, which the rows before this one have run.
        factor = np.maximum(1 - share * eta * mu, 0.0)
        with np.errstate(divide="ignore"):
            count = np.ceil(np.log(eps / gap0) / (2 * np.log(factor)) * (1 - 1e-12))
        best = np.minimum(best, np.maximum(count, 1.0))
    few = slice(0, min(20, len(H0)))
    part = Radial(profiles.SQUARE, slow.c[few], slow.h[few], 1)
    history = run(part, part.start(rng, gap0[few]), rules.fixed(eta[few]), method=GD, steps=steps,
                  until=eps[few])  # fmt: skip
    ran = history.count(eps[few] * (1 + 1e-9))
    assert np.array_equal(ran, best[few]), "the closed form of the slow witness is not what it does"
    return compare("B.4b minimax lower bound, PL", "f_c and mu w^2 / 2", best, bound, at_least=True)


def _minimax_convex(
    rng: Generator, H0: Floats, H1: Floats, z: Floats, gap0: Floats, eta: Floats
) -> Row:
    """B.4c: Huber's function with the largest stable step, by running it."""
    reach = 2 * np.arcsinh(np.sqrt(z / 2)) / np.sqrt(H1)
    D = reach * rng.uniform(1, 3, len(H0))
    eps = np.minimum(gap0 / 2, H0 * D**2 / 8) * log_uniform(rng, 0.05, 1, len(H0))
    slope = fixed.huber_slope(H0, D, eps)
    slow = Radial(profiles.HUBER, slope**2 / H0, H0 / slope, 1)
    history = run(slow, D[:, None], rules.fixed(eta), method=GD, steps=1500, until=eps)
    count = history.count(eps).astype(float)
    bound = fixed.lower_bound_convex(H0, z, D, eps)
    measured = np.where(count < 0, 1500.0, count)
    silent = (count < 0) & (bound > 1500)
    words = "B.4c minimax lower bound, convex"
    return compare(words, "f_c and Huber", measured, bound, at_least=True, silent=silent)


def closure(rng: Generator, instances: int, samples: int = 20) -> Iterator[Row]:
    """B.5: laws of sums, scalings and affine maps against curvatures of random compositions."""
    shape, words = (samples, instances), "random laws and gaps"
    laws = [_random_law(rng, instances) for _ in range(3)]
    gaps = [log_uniform(rng, 1e-3, 1e2, *shape) for _ in range(3)]
    excess = log_uniform(rng, 1e-3, 10, instances)
    together = sum((law.K(gap) for law, gap in zip(laws, gaps, strict=True)), np.zeros(shape))
    total = (laws[0] + laws[1] + laws[2]).shift(excess)
    # The gap of the sum lies below the sum of the gaps by the excess.
    inside = np.maximum(sum(gaps, np.zeros(shape)) - excess, 0.0)
    silent = sum(gaps, np.zeros(shape)) < excess
    yield compare("B.5 sum", words, together, total.K(inside), silent=silent)
    both = laws[0].beside(laws[1])
    larger = np.maximum(laws[0].K(gaps[0]), laws[1].K(gaps[1]))
    euclid = Law(both.K0, both.K1)
    flat = np.maximum(
        *(Law(law.K0, law.K1).K(gap) for law, gap in zip(laws[:2], gaps[:2], strict=True))
    )
    yield compare("B.5 separable sum, Euclidean", words, flat, euclid.K(gaps[0] + gaps[1]))
    yield compare("B.5 separable sum, K_rho > 0", words, larger, both.K(gaps[0] + gaps[1]))
    yield _affine(rng, instances)
    yield _gradient_form(rng, instances)


def _random_law(rng: Generator, instances: int, rho: float = 2.0) -> Law:
    K0, K1, K_rho = (log_uniform(rng, 0.01, 10, instances) for _ in range(3))
    return Law(K0, K1, K_rho, rho)


def _affine(rng: Generator, instances: int) -> Row:
    """B.5: w -> f(A w + b) for A that is not onto, f radial, so that the infimum is known."""
    c, h = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    f = Radial(profiles.TAN2, c, h, 3)
    A = rng.standard_normal((instances, 3, 2))
    b = rng.standard_normal((instances, 3))
    b *= (0.4 / f.h / np.linalg.norm(b, axis=1))[:, None]
    nearest = b - np.einsum("bij,bj->bi", A, np.einsum("bij,bj->bi", np.linalg.pinv(A), b))
    excess = f.value(nearest)
    law = f.law.affine(np.linalg.norm(A, 2, axis=(1, 2)), excess)
    w = rng.standard_normal((instances, 2))
    w *= (
        rng.uniform(0, 0.9, instances) / f.h / np.linalg.norm(np.einsum("bij,bj->bi", A, w), axis=1)
    )[:, None]
    x = np.einsum("bij,bj->bi", A, w) + b
    columns = np.stack([f.hessian_action(x, A[:, :, j]) for j in range(2)], 2)
    hessian = np.swapaxes(A, 1, 2) @ columns
    measured = np.linalg.norm(hessian, 2, axis=(1, 2))
    gap = np.maximum(f.value(x) - excess, 0.0)
    return compare("B.5 affine map, not onto", "radial tan2 of A w + b", measured, law.K(gap))


def _gradient_form(rng: Generator, instances: int) -> Row:
    """B.5: (L0, L1) implies (H0, H1): L1^2 gap >= y - ln(1 + y) scaled gives the tangent."""
    L0, L1 = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    y = log_uniform(rng, 1e-3, 1e3, instances)  # L1 ||gradient|| / L0
    gap = L0 / L1**2 * (y - np.log1p(y))  # the least gap with this gradient
    k = rng.uniform(1.1, 5)
    measured, law = L0 * (1 + y), Law.from_l0_l1(L0, L1, k)
    return compare("B.5 (L0, L1) implies (H0, H1)", "extremal gradient", measured, law.K(gap))


def worst_sequences(rng: Generator, instances: int, steps: int = 5000) -> Iterator[Row]:
    """A.2 on the sequences that make its step bound an equality: how tight the count is."""
    for rho in (1.3, 2.0, 3.0, 6.0):
        # Gaps below R^2 K / 2, as every star-convex function has them.
        law = _random_law(rng, instances, rho)
        gap0 = log_uniform(rng, 0.1, 10, instances)
        R = np.sqrt(
            2 * np.max([law.over_gap(gap0 * f) ** -1 for f in np.geomspace(0.01, 1, 40)], 0)
        )
        R = R * log_uniform(rng, 1, 3, instances)
        eps = gap0 / log_uniform(rng, 1.2, 50, instances)
        gap, count = gap0.copy(), np.zeros(instances)
        for _ in range(steps):
            count += gap > eps
            gap = np.where(gap > eps, lmo.star_step(gap, R, law.K(gap)), gap)
        silent = gap > eps
        bound = lmo.star_count(law, R, gap0, eps)
        yield compare(
            "A.2 count, worst sequence", f"equality, rho = {rho:g}", count, bound, silent=silent
        )
