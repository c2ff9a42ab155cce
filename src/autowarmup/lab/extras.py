"""Packages that only parts need: which extra of `pip install 'autowarmup[...]'` brings them."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "rich": "cli",
    "tyro": "cli",
    "accelerate": "pretrain",
    "datasets": "pretrain",
    "tokenizers": "pretrain",
    "transformers": "pretrain",
    "jinja2": "report",
    "markupsafe": "report",
    "matplotlib": "report",
    "sklearn": "objects",
    "scipy": "scipy",
    "ray": "ray",
    "lightning": "lightning",
    "jax": "jax",
    "optax": "jax",
    "tensorboard": "tracking",
}
"""Name of a module -> the extra of it."""


def sentence(error: ModuleNotFoundError) -> str:
    """Return what to install, for a package that is missing.

    Example:
        >>> sentence(ModuleNotFoundError("No module named 'jax.numpy'", name="jax.numpy"))
        "jax is not installed: expected `pip install 'autowarmup[jax]'`"
    """
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS or "pip install" in str(error):
        return str(error)
    return f"{name} is not installed: expected `pip install 'autowarmup[{EXTRAS[name]}]'`"


def need(*modules: str) -> None:
    """Raise what importing them would, before any work is lost.

    Raises:
        ModuleNotFoundError: one is missing; the sentence names its extra.
    """
    for name in modules:
        if find_spec(name) is None:
            error = ModuleNotFoundError(f"No module named {name!r}", name=name)
            raise ModuleNotFoundError(sentence(error), name=name)
