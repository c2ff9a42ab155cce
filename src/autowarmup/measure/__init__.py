"""Measure the curvature that both papers assume things about, along real training."""

from autowarmup.measure.blocks import Counted, count_parameters
from autowarmup.measure.determinism import Determinism, check_determinism
from autowarmup.measure.fit import CurvatureFit, LawFit, fit_curvature
from autowarmup.measure.hessian import Extremes, hessian_extremes, hessian_product
from autowarmup.measure.noise import BatchNoise, batch_noise
from autowarmup.measure.observer import CurvatureObserver
from autowarmup.measure.probe import Probe, probe_step

__all__ = [
    "BatchNoise",
    "Counted",
    "CurvatureFit",
    "CurvatureObserver",
    "Determinism",
    "Extremes",
    "LawFit",
    "Probe",
    "batch_noise",
    "check_determinism",
    "count_parameters",
    "fit_curvature",
    "hessian_extremes",
    "hessian_product",
    "probe_step",
]
