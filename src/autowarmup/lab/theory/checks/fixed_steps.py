"""Fixed steps of gradient descent (B.4): what is stable, and the minimax lower bounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from autowarmup.lab.theory import profiles, rules
from autowarmup.lab.theory.bounds import gd
from autowarmup.lab.theory.cosh_objectives import ProductCosh
from autowarmup.lab.theory.families import log_uniform
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.objectives import Radial
from autowarmup.lab.theory.rows import Row, compare
from autowarmup.lab.theory.runs import GD, run


def fixed_steps(rng: Generator, instances: int) -> Iterator[Row]:
    """B.4: what is stable in one dimension and in the plane, and the minimax lower bounds."""
    H0, H1 = (log_uniform(rng, 0.1, 10, instances) for _ in range(2))
    z = log_uniform(rng, 0.1, 100, instances)
    gap0, eta = z * H0 / H1, gd.largest_stable(H0, z)
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
    lr = 1.05 * gd.stable_in_the_plane(H0, H1, gap0)
    top = run(witness, x0, rules.fixed(lr), method=GD, steps=400).gap.max(0)
    words = "B.4d nothing above 2 / (H0 + H1 gap0) is stable, d = 2"
    return compare(words, "product cosh, share -> 0", top, 1.05 * gap0, at_least=True)


def _minimax_pl(rng: Generator, H0: Floats, z: Floats, gap0: Floats, eta: Floats) -> Row:
    """B.4b: the least over eta of the larger count on the two witnesses, by running them."""
    mu, eps = H0 * log_uniform(rng, 1e-2, 0.3, len(H0)), gap0 / log_uniform(rng, 2, 1e3, len(H0))
    bound = gd.lower_bound_pl(H0, z, mu, gap0, eps)
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
    slope = gd.huber_slope(H0, D, eps)
    slow = Radial(profiles.HUBER, slope**2 / H0, H0 / slope, 1)
    history = run(slow, D[:, None], rules.fixed(eta), method=GD, steps=1500, until=eps)
    count = history.count(eps).astype(float)
    bound = gd.lower_bound_convex(H0, z, D, eps)
    measured = np.where(count < 0, 1500.0, count)
    silent = (count < 0) & (bound > 1500)
    words = "B.4c minimax lower bound, convex"
    return compare(words, "f_c and Huber", measured, bound, at_least=True, silent=silent)
