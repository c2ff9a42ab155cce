"""A plain loop: handwritten digits with Muon on the hidden matrices and AdamW on the rest.

pip install 'autowarmup[objects]'
python examples/plain_loop.py
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from autowarmup import AdaptiveWarmup, Muon


def main(steps: int = 300) -> dict[str, Any]:
    """Train and return the accuracy on what was not trained on, and the rates."""
    torch.manual_seed(0)
    images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = Muon(model, lr=0.02)
    scheduler = AdaptiveWarmup(optimizer, total_steps=steps)
    rates = []
    for _ in range(steps):
        batch = torch.randint(0, 1500, (64,))
        loss = cross_entropy(model(images[batch]), labels[batch])
        loss.backward()
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step(loss)
        optimizer.zero_grad()
    right = model(images[1500:]).argmax(1) == labels[1500:]
    return {
        "accuracy": right.float().mean().item(),
        "rates": rates,
        "warmup_end_step": scheduler.warmup_end_step,
    }


def show(result: dict[str, Any]) -> None:
    """Print the result and a few rates of the curve."""
    rates = result["rates"]
    some = [rates[k * (len(rates) - 1) // 6] for k in range(7)]
    print("rate:", " ".join(f"{rate:.2g}" for rate in some))
    print(f"warm-up ended at update {result['warmup_end_step']} of {len(rates)}")
    print(f"accuracy on unseen digits: {100 * result['accuracy']:.1f} %")


if __name__ == "__main__":
    show(main())
