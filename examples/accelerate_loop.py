"""Accelerate: handwritten digits with accumulated gradients.

pip install 'autowarmup[objects,pretrain]'
python examples/accelerate_loop.py          # or: accelerate launch examples/accelerate_loop.py
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from autowarmup import AdaptiveWarmup


def main(epochs: int = 6) -> dict[str, Any]:
    """Train and return the accuracy on what was not trained on, and the rates."""
    torch.manual_seed(0)
    images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    loader = DataLoader(
        TensorDataset(images[:1536], labels[:1536]), 32, shuffle=True, drop_last=True
    )
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer, loader = accelerator.prepare(
        net, torch.optim.AdamW(net.parameters(), lr=0.01), loader
    )
    scheduler = AdaptiveWarmup(optimizer, total_steps=epochs * len(loader) // 2)
    accelerator.register_for_checkpointing(scheduler)
    rates = []
    for _ in range(epochs):
        for batch, answers in loader:
            with accelerator.accumulate(model):
                loss = cross_entropy(model(batch), answers)
                accelerator.backward(loss)
                scheduler.observe(loss)
                if accelerator.sync_gradients:
                    rates.append(scheduler.get_last_lr()[0])
                optimizer.step()
                if accelerator.sync_gradients:
                    scheduler.step()
                optimizer.zero_grad()
    right = net(images[1536:]).argmax(1) == labels[1536:]
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
