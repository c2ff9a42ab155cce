"""What measured quantities, laws and runs are called on pages, figures and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autowarmup.lab.report.words import optimizer_name, run_warmup_name
from autowarmup.rules.registry import DEFAULT_RULE

Json = Mapping[str, Any]

_QUANTITIES = {
    "K": (
        "curvature K",
        "how far the gradient turns per unit of the update just made, on the same batch",
    ),
    "H": (
        "Hessian norm H",
        "the largest absolute eigenvalue of the Hessian at the weights before the update",
    ),
    "K_dir": (
        "curvature along the step K_dir",
        "how far the loss bends along the update, from two losses and one slope",
    ),
    "K_next": (
        "K_dir seen by the next batch, K_next",
        "the same, seen on the batch after, which the update did not depend on",
    ),
}

_NORMS = {
    "spectral": "spectral norm of every matrix, its dual the nuclear norm (the pair of Muon)",
    "linf": "largest absolute entry, its dual the sum of absolute entries (the pair of Lion)",
    "frobenius": "Frobenius norm of every matrix, its own dual (the pair of normalized SGD)",
    "euclidean": "Euclidean norm of all parameters together, its own dual (the pair of SGD)",
}

_COUNTED = {"constrained": "without its AdamW part", "all": "all parameters"}


def quantity_name(quantity: str) -> str:
    """Return the name of a measured quantity in text: "Hessian norm H"."""
    return _QUANTITIES.get(quantity, (quantity, ""))[0]


def meaning(quantity: str) -> str:
    """Return what a quantity says, as half a sentence."""
    return _QUANTITIES.get(quantity, (quantity, ""))[1]


def norm_name(norm: str) -> str:
    """Return the norm and its dual in words."""
    return _NORMS.get(norm, norm)


def law_name(law: Json) -> str:
    """Return in words how a law was fitted.

    Example:
        >>> law_name({"constraint": "free", "terms": ["K0", "K1"]})
        'free signs, without K2'
    """
    name = "constants ≥ 0" if law["constraint"] == "non_negative" else "free signs"
    if "K_rho" not in law["terms"]:
        return f"{name}, without K2"
    return f"{name}, ρ searched" if law.get("rho_searched") else name


def law_formula(law: Json) -> str:
    """Return the formula of a law.

    Example:
        >>> law_formula({"terms": ["K0", "K1", "K_rho"], "rho": 2.0})
        'K0 + K1·gap + K2·gap²'
    """
    rho = law.get("rho")
    power = "²" if rho == 2 else "^ρ" if law.get("rho_searched") or rho is None else f"^{rho:g}"
    words = {"K0": "K0", "K1": "K1·gap", "K_rho": f"K2·gap{power}"}
    return " + ".join(words[term] for term in law["terms"])


def run_label(config: Json) -> str:
    """Return what people call a training run; adaptive warm-up as it comes is not mentioned.

    Example:
        >>> run_label({"recipe": "tiny-cpu", "optimizer": "muon", "lr": 0.006, "rule": "none"})
        'Muon, tiny-cpu, lr 0.006, no warm-up'
    """
    words = [optimizer_name(config["optimizer"]), config.get("recipe"), f"lr {config['lr']:g}"]
    earlier = config.get("warmup") == "adaptive" and config.get("calibrate", True)
    usual = earlier and config.get("peak", "flat") == "flat"
    if not usual and config.get("rule") != DEFAULT_RULE:
        words.append(run_warmup_name(config))
    words.append(_COUNTED.get(config.get("measure_count", "auto")))
    return ", ".join(word for word in words if word)
