"""Optax: handwritten digits in jax with Muon, the whole update compiled.

pip install 'autowarmup[jax,objects]'
python examples/optax_jax.py
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from autowarmup.integrations.optax import scale_by_adaptive_warmup, warmup_states


def logits(params: dict[str, jax.Array], images: jax.Array) -> jax.Array:
    """Return the scores of a network with one hidden layer; (B, 64) -> (B, 10)."""
    hidden = jax.nn.relu(images @ params["w"] + params["b"])
    return hidden @ params["v"] + params["c"]


def main(steps: int = 200) -> dict[str, Any]:
    """Train and return the accuracy on what was not trained on, and the rates."""
    peak = 0.02
    images, labels = load_digits(return_X_y=True)
    images, labels = jnp.asarray(images / 16, jnp.float32), jnp.asarray(labels)
    one, two = jax.random.split(jax.random.key(0))
    params = {
        "w": jax.random.normal(one, (64, 128)) / 8,
        "b": jnp.zeros(128),
        "v": jax.random.normal(two, (128, 10)) / 11,
        "c": jnp.zeros(10),
    }
    tx = optax.chain(optax.contrib.muon(peak), scale_by_adaptive_warmup(total_steps=steps))
    state = tx.init(params)

    def loss_of(params: dict[str, jax.Array], batch: jax.Array) -> jax.Array:
        scores = logits(params, images[batch])
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels[batch]).mean()

    @jax.jit
    def update(params: Any, state: Any, batch: jax.Array) -> tuple[Any, Any]:
        loss, gradients = jax.value_and_grad(loss_of)(params, batch)
        moves, state = tx.update(gradients, state, params, value=loss)
        return optax.apply_updates(params, moves), state

    draw, rates, end = np.random.default_rng(0), [], None
    for k in range(steps):
        warmup = warmup_states(state)[0]
        rates.append(peak * float(warmup.factor))
        if end is None and int(warmup.phase) > 0:
            end = k
        params, state = update(params, state, draw.integers(0, 1500, 64))
    right = logits(params, images[1500:]).argmax(1) == labels[1500:]
    return {"accuracy": float(right.mean()), "rates": rates, "warmup_end_step": end}


def show(result: dict[str, Any]) -> None:
    """Print the result and a few rates of the curve."""
    rates = result["rates"]
    some = [rates[k * (len(rates) - 1) // 6] for k in range(7)]
    print("rate:", " ".join(f"{rate:.2g}" for rate in some))
    print(f"warm-up ended at update {result['warmup_end_step']} of {len(rates)}")
    print(f"accuracy on unseen digits: {100 * result['accuracy']:.1f} %")


if __name__ == "__main__":
    show(main())
