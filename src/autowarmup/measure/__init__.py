"""Measure the curvature that both papers assume things about, along real training."""

from autowarmup.measure.blocks import CountedParameters, choose_parameters
from autowarmup.measure.determinism import Determinism, check_determinism
from autowarmup.measure.fit import CurvatureFit, LawFit, fit_curvature
from autowarmup.measure.hessian import Extremes, hessian_extremes, hessian_product
from autowarmup.measure.observer import CurvatureObserver
from autowarmup.measure.probe import BatchNoise, Probe, batch_noise, probe_step

__all__ = [
    "BatchNoise",
    "CountedParameters",
    "CurvatureFit",
    "CurvatureObserver",
    "Determinism",
    "Extremes",
    "LawFit",
    "Probe",
    "batch_noise",
    "check_determinism",
    "choose_parameters",
    "fit_curvature",
    "hessian_extremes",
    "hessian_product",
    "probe_step",
]
