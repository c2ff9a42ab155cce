"""The coefficients of Muon's three steps of degree 9, and how near they come to the polar factor.

python -m studies.muon.three_steps    # prints them; a quarter of a minute

Three odd polynomials of degree 9 act on singular values that start in [0, 1]. Each is written as
x q(x^2 - 1/2), which is well conditioned, and scaled so that its largest value on [0, 1.02] is
1 / 1.012, the last one's CAP: what rounding puts above 1 does no harm. Sought are those whose
distance to the polar factor, over many spectra and relative to that of torch.optim.Muon's five
steps, has the smallest mean of 16th powers; with Adam, then L-BFGS, in float64. Starts from the
best polynomials of other intervals ended within half a percent of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from autowarmup.norms.polar import KELLER_JORDAN

CAP = 1.20
TOP, SAFETY = 1.02, 1.012
FLOOR = 0.06
"""Smallest value from 0.22 on after a step: rounding drowns what comes closer to 0."""
POWER = 16
START = (
    (1.0, 4.0, -16.0, -44.0, 110.0),
    (1.0, 4.0, -14.0, -42.0, 100.0),
    (1.5, 1.5, -4.0, -32.0, 60.0),
)
POINTS = torch.linspace(0.01, TOP, 800, dtype=torch.float64)


@cache
def spectra() -> dict[str, Tensor]:
    """Return singular values by name: powers, exponentials, and those of Gaussian matrices."""
    found: dict[str, Tensor] = {}
    for side in (128, 512, 2048):
        i = torch.arange(1, side + 1, dtype=torch.float64)
        for decay in (0.0, 0.5, 0.8, 1.0, 1.2, 1.5):
            found[f"{side}, i^-{decay:g}"] = i**-decay
        found[f"{side}, exp(-6.4 i / {side})"] = (-6.4 * i / side).exp()
    draw = torch.Generator().manual_seed(0)
    for shape in ((256, 256), (512, 512), (2048, 2048), (512, 1400)):
        x = torch.randn(shape, generator=draw, dtype=torch.float64)
        found[f"Gaussian {shape[0]} x {shape[1]}"] = torch.linalg.eigvalsh(x @ x.mT).sqrt()
    return found


def usual(s: Tensor) -> Tensor:
    """Return what torch.optim.Muon's five steps make of singular values."""
    a, b, c = KELLER_JORDAN
    x = s / s.norm()
    for _ in range(5):
        x = x * (a + x * x * (b + x * x * c))
    return x


def ours(s: Tensor, steps: Sequence[Sequence[float] | Tensor]) -> Tensor:
    """Return what steps of degree 9 make of them, from the better start."""
    x = s / s.pow(4).sum() ** 0.25
    for step in steps:
        x = nonic(x, step)
    return x


def nonic(x: Tensor, step: Sequence[float] | Tensor) -> Tensor:
    """Return x q(x^2 - 1/2) for the coefficients of q, the constant first."""
    h, q = x * x - 0.5, torch.zeros_like(x)
    for c in reversed(list(step)):
        q = q * h + c
    return x * q


def distance(x: Tensor) -> Tensor:
    """Return the relative distance to the polar factor of a matrix with these singular values."""
    return (x - 1).square().mean().sqrt()


class Search:
    """The objective, on spectra of which long tails are thinned out."""

    def __init__(self) -> None:
        values, shares, rows, peers = [], [], [], []
        for row, s in enumerate(spectra().values()):
            s = s.sort(descending=True).values
            width = max(len(s) // 128, 1)
            tail = s[32:][: (len(s) - 32) // width * width].view(-1, width)
            share = torch.cat([torch.ones(32), torch.full((len(tail),), float(width))]).double()
            values.append(torch.cat([s[:32], tail[:, width // 2]]) / s.pow(4).sum() ** 0.25)
            shares.append(share / share.sum())
            rows.append(torch.full((len(share),), row))
            peers.append(distance(usual(s)))
        self.values, self.shares, self.rows = map(torch.cat, (values, shares, rows))
        self.peers = torch.stack(peers)

    def objective(self, free: Sequence[Tensor], power: int = POWER) -> Tensor:
        """Return the mean of powers of the relative distances, and a fine for steps near 0."""
        steps, x = normal(free), self.values
        for step in steps:
            x = nonic(x, step)
        squares = torch.zeros_like(self.peers).index_add(0, self.rows, self.shares * (x - 1) ** 2)
        ratios = squares.sqrt() / self.peers
        low = [(FLOOR - nonic(POINTS[POINTS > 0.22], step)).relu() for step in steps[:-1]]
        fine = torch.stack([part.square().mean() for part in low]).sum()
        return ratios.pow(power).mean() ** (1 / power) + 300 * fine

    def run(self) -> list[Tensor]:
        """Return the best steps found."""
        free = [torch.tensor(step, dtype=torch.float64) for step in START]
        scale = torch.tensor([2.0**k for k in range(5)], dtype=torch.float64)
        free = [(step / scale).requires_grad_() for step in free]  # of one size
        for power, rate in ((4, 0.01), (12, 0.003)):
            adam = torch.optim.Adam(free, lr=rate)
            course = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 450)
            for _ in range(450):
                adam.zero_grad()
                self.objective([step * scale for step in free], power).backward()
                torch.nn.utils.clip_grad_norm_(free, 1.0)
                adam.step()
                course.step()
        for _ in range(4):
            newton = torch.optim.LBFGS(
                free, max_iter=300, history_size=50, line_search_fn="strong_wolfe"
            )

            def closure(newton: torch.optim.LBFGS = newton) -> Tensor:
                newton.zero_grad()
                value = self.objective([step * scale for step in free])
                value.backward()
                return value

            newton.step(closure)  # pyright: ignore[reportArgumentType]
        return [step.detach() for step in normal([step * scale for step in free])]


def normal(free: Sequence[Tensor]) -> list[Tensor]:
    """Scale each step to its largest value."""
    tops = [1 / SAFETY] * (len(free) - 1) + [CAP]
    return [step * (top / nonic(POINTS, step).max()) for step, top in zip(free, tops, strict=True)]


def main() -> None:
    """Search, print the steps and a row for every spectrum."""
    torch.set_num_threads(1)
    search = Search()
    steps = search.run()
    for step in steps:
        print("(" + ", ".join(f"{c:.4f}" for c in step) + "),")
    print(f"objective {search.objective(steps):.4f}")
    for name, s in spectra().items():
        mine, peer = ours(s, steps), usual(s)
        print(
            f"{name}: distance {distance(mine):.3f} (largest {mine.max():.2f}), "
            f"torch.optim.Muon {distance(peer):.3f} ({peer.max():.2f}), "
            f"ratio {distance(mine) / distance(peer):.3f}"
        )


if __name__ == "__main__":
    main()
