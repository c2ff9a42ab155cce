"""Classes of optimizers, which need warm-ups of different lengths."""

from __future__ import annotations

_PARTS = {
    "spectral": ("muon", "scion", "dion"),
    "frobenius": ("normalizedsgd", "normalized-sgd", "normsgd"),
    "sign": ("lion", "signum", "signsgd"),
    "preconditioned": ("soap", "shampoo", "kron", "psgd"),
}
"""Parts of names, in small letters: of classes, of options, in published sweeps."""

FAMILIES = (*_PARTS, "other")
"""Muon and its kind; normalized SGD; Lion, Signum, signSGD; SOAP, Shampoo, Kron; Adam and the rest.
"""


def family_named(name: str) -> str:
    """Return the class of an optimizer by a name, "other" for Adam and what is not known.

    Example:
        >>> [family_named(name) for name in ("d-muon", "Lion", "normsgd", "AdamW")]
        ['spectral', 'sign', 'frobenius', 'other']
    """
    small = name.lower()
    found = (family for family, parts in _PARTS.items() if any(part in small for part in parts))
    return next(found, "other")
