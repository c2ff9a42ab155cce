"""Norms, their linear minimisation oracles, and the optimizers they make."""

from autowarmup.norms.elementwise import Frobenius, LInf
from autowarmup.norms.groups import assign
from autowarmup.norms.norm import MaxOverBlocks, Norm
from autowarmup.norms.optimizer import LMOOptimizer
from autowarmup.norms.presets import Lion, Muon, NormalizedSGD, SignSGD, Signum
from autowarmup.norms.spectral import Spectral, newton_schulz, polar_exact

__all__ = [
    "Frobenius",
    "LInf",
    "LMOOptimizer",
    "Lion",
    "MaxOverBlocks",
    "Muon",
    "Norm",
    "NormalizedSGD",
    "SignSGD",
    "Signum",
    "Spectral",
    "assign",
    "newton_schulz",
    "polar_exact",
]
