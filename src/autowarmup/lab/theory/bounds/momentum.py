"""Gradient estimates in place of gradients: momentum (A.5) and noise (A.6)."""

from __future__ import annotations

import numpy as np

from autowarmup.lab.theory.bounds.lmo import ceiled
from autowarmup.lab.theory.law import Floats, Law, Numbers


def momentum_share(beta: float) -> float:
    """A.5: the share c = (1 - beta) / (2 + 4 beta) of the rate gap / (D K(gap)) that is certified.

    >>> momentum_share(0.0), round(momentum_share(0.9), 4)
    (0.5, 0.0179)
    """
    return (1 - beta) / (2 + 4 * beta)


def momentum_error(gap: Floats, D: Numbers) -> Floats:
    """A.5: with the rate c gap / (D K(gap)), ||d - gradient||_* <= gap / (4 D) at every step.

    Star-convex, m_0 = g_0, d = m, Nesterov's or Lion's with beta1 <= beta.
    """
    return gap / (4 * D)


def momentum_step(gap: Floats, beta: float, D: Numbers, K: Floats) -> Floats:
    """A.5: gap_next <= gap - c (1 - c) gap^2 / (2 D^2 K): the shape survives momentum."""
    c = momentum_share(beta)
    return gap - c * (1 - c) * gap**2 / (2 * D**2 * K)


def momentum_count(law: Law, beta: float, D: Numbers, gap0: Numbers, eps: Numbers) -> Floats:
    """A.5: ceil((4 / c) D^2 I(eps)) steps."""
    return ceiled(4 / momentum_share(beta) * D**2 * law.integral(eps, gap0))


def constant_step(
    gap0: Floats, lr: Floats, R: Floats, K: Floats, beta: float, steps: int
) -> Floats:
    """A.5 with a fixed rate and K <= `K` where the run goes: gap after so many steps at most

    (1 - eta/R)^T gap0 + eta R K (1/2 + 2 beta / (1 - beta)).
    """
    return (1 - lr / R) ** steps * gap0 + lr * R * K * (0.5 + 2 * beta / (1 - beta))


def noisy_step(
    gap: Floats, lr: Floats, dual: Floats, error: Floats, K: Floats, chi: float = 2.0
) -> Floats:
    """A.6: E gap_next <= gap - eta ||g||_* + chi eta E||d - g||_* + eta^2 K / 2.

    eta fixed before sampling and at most the ball radius (A.1c) for K = K(gap + s); for (H0, H1)
    A.1d needs no radius. chi = 2; chi = 1 for sign updates without momentum and unbiased noise.
    """
    return gap - lr * dual + chi * lr * error + lr**2 * K / 2


def sign_alignment(gradient: Floats, noise: Floats) -> Floats:
    """A.6: E<g, sign(g + xi)> >= ||g||_1 - E||xi||_1; the constant 1 is tight.

    `gradient` is g, `noise` E|xi_i| of each coordinate, the last axis; each xi_i has mean 0.
    """
    return np.sum(np.abs(gradient) - noise, axis=-1)


def noise_floor(
    gap0: Floats, lr: Floats, R: Floats, K: Floats, error: Floats, steps: int, chi: float = 2.0
) -> Floats:
    """A.6 with a fixed rate: E gap <= (1 - eta/R)^T gap0 + chi R sup E||d-g||_* + eta R K / 2."""
    return (1 - lr / R) ** steps * gap0 + chi * R * error + lr * R * K / 2


def averaged_noise(
    beta: float, step: int, sigma2: Floats, kappa2: float, K: Floats, lr: Floats, error0: Floats
) -> Floats:
    """A.6 for the average m: E||m - g||_* at step t is at most

    kappa2 sigma2 (sqrt((1-beta)/(1+beta)) + beta^t) + beta K eta / (1 - beta) + beta^t e0.

    sigma2: root of the mean squared Euclidean norm of the noise; kappa2 = sup ||v||_* / ||v||_2;
    K: curvature bound where the run goes; e0: ||m_0 - g_0||_* without the first sample's noise.
    """
    average = np.sqrt((1 - beta) / (1 + beta)) + beta**step
    return kappa2 * sigma2 * average + beta * K * lr / (1 - beta) + beta**step * error0
