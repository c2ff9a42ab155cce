"""Lightning: handwritten digits, the rate driven by a callback.

pip install 'autowarmup[lightning,objects]'
python examples/lightning_module.py
"""

from __future__ import annotations

import tempfile
from typing import Any

import lightning as L
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from autowarmup import AdaptiveWarmup, Muon
from autowarmup.integrations.lightning import AdaptiveWarmupCallback


class Digits(L.LightningModule):
    """A small network; remembers the rate of every micro-batch."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        self.rates: list[float] = []

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """Return the loss of a micro-batch."""
        images, labels = batch
        self.rates.append(self.lr_schedulers().get_last_lr()[0])
        return cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the scheduler that the callback feeds."""
        optimizer = Muon(self, lr=0.02)
        scheduler = AdaptiveWarmup(optimizer, self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


def main(epochs: int = 6, folder: str | None = None, **options: Any) -> dict[str, Any]:
    """Train and return the accuracy on what was not trained on, and the rates."""
    L.seed_everything(0, verbose=False)
    images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
    images = images.float() / 16
    loader = DataLoader(TensorDataset(images[:1500], labels[:1500]), 32, shuffle=True)
    model = Digits()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        accumulate_grad_batches=2,
        callbacks=[AdaptiveWarmupCallback()],
        default_root_dir=folder or tempfile.mkdtemp(),
        **{**quiet, "enable_checkpointing": False, **options},
    )
    trainer.fit(model, loader)
    right = model.net(images[1500:]).argmax(1) == labels[1500:]
    scheduler = trainer.lr_scheduler_configs[0].scheduler
    return {
        "accuracy": right.float().mean().item(),
        "rates": model.rates,
        "updates": trainer.global_step,
        "steps": scheduler.state.step,
        "warmup_end_step": scheduler.warmup_end_step,
    }


def show(result: dict[str, Any]) -> None:
    """Print the result and a few rates of the curve."""
    rates = result["rates"]
    some = [rates[k * (len(rates) - 1) // 6] for k in range(7)]
    print("rate:", " ".join(f"{rate:.2g}" for rate in some))
    print(f"warm-up ended at update {result['warmup_end_step']} of {result['updates']}")
    print(f"accuracy on unseen digits: {100 * result['accuracy']:.1f} %")


if __name__ == "__main__":
    show(main())
