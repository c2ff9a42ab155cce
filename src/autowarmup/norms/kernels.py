"""Newton-Schulz with the GPU kernels of the package gram-newton-schulz, plain torch elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from autowarmup.norms.polar import KELLER_JORDAN, Triple, newton_schulz, one_per_step, parts

PACKAGE = "gram_newton_schulz"
_HOPPER = (9, 0)


def kernels(
    *, steps: int = 5, coefficients: Triple | tuple[Triple, ...] = KELLER_JORDAN
) -> Callable[[Tensor], Tensor]:
    """Return an orthogonalizer for `Muon(..., orthogonalize=kernels())`.

    On a GPU from Hopper on it is the package gram-newton-schulz (extra `kernels`), in float16 and
    with the same coefficients; on other devices, and where the package is not installed (told once
    on such a GPU), it is `newton_schulz`. Both within rounding of the same polynomial.

    Args:
        steps: number of iterations.
        coefficients: as in `newton_schulz`.

    Example:
        >>> x = torch.diag(torch.tensor([3.0, 2.0]))
        >>> torch.equal(kernels()(x), newton_schulz(x))
        True
    """
    return partial(_orthogonalize, steps=steps, coefficients=coefficients)


def _orthogonalize(x: Tensor, *, steps: int, coefficients: Triple | tuple[Triple, ...]) -> Tensor:
    if _has_kernels(x.device):
        return _compiled(steps, coefficients)(x)
    return newton_schulz(x, steps=steps, coefficients=coefficients)


@cache
def _has_kernels(device: torch.device) -> bool:
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _HOPPER:
        return False
    if find_spec(PACKAGE) is None:
        warnings.warn(
            "expected the package gram-newton-schulz for kernels(), found none: plain torch runs; "
            "pip install 'autowarmup[kernels]'",
            stacklevel=2,
        )
        return False
    return True


@cache
def _compiled(steps: int, coefficients: Triple | tuple[Triple, ...]) -> Any:
    import gram_newton_schulz  # pyright: ignore[reportMissingImports]

    triples = one_per_step(coefficients, steps)
    lengths = [len(part) for part in parts(triples, torch.float16)]
    begins = [sum(lengths[:index]) for index in range(1, len(lengths))]
    return gram_newton_schulz.GramNewtonSchulz(
        ns_coefficients=[list(triple) for triple in triples],
        gram_newton_schulz_reset_iterations=begins,
        # Not "reduce-overhead": its graphs write the next result over the last one.
        compile_kwargs={"fullgraph": True},
    )
