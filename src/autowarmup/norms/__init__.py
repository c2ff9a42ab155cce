"""Norms, their linear minimisation oracles, and the optimizers they make."""

from autowarmup.norms.elementwise import Frobenius, LInf
from autowarmup.norms.groups import assign
from autowarmup.norms.kernels import kernels
from autowarmup.norms.muon import Muon
from autowarmup.norms.named import NORMS, norm_of
from autowarmup.norms.norm import Norm
from autowarmup.norms.optimizer import LMOOptimizer
from autowarmup.norms.polar import newton_schulz, polar_exact
from autowarmup.norms.polar_express import polar_express
from autowarmup.norms.presets import Lion, NormalizedSGD, SignSGD, Signum
from autowarmup.norms.products import EuclideanOverBlocks, MaxOverBlocks
from autowarmup.norms.singular import nuclear_norm, spectral_norm
from autowarmup.norms.spectral import Spectral
from autowarmup.norms.three_steps import three_steps

__all__ = [
    "NORMS",
    "EuclideanOverBlocks",
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
    "kernels",
    "newton_schulz",
    "norm_of",
    "nuclear_norm",
    "polar_exact",
    "polar_express",
    "spectral_norm",
    "three_steps",
]
