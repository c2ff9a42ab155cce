"""Hugging Face Trainer: a small LLaMA on the bytes of the Python standard library.

pip install 'autowarmup[pretrain]'
python examples/hf_trainer.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from autowarmup.integrations.huggingface import AdaptiveWarmupMixin


class WarmupTrainer(AdaptiveWarmupMixin, Trainer):
    """The Trainer, with a rate that follows its loss."""


def blocks(length: int = 64, count: int = 2000) -> list[dict[str, torch.Tensor]]:
    """Return pieces of a source file as tokens, one per byte."""
    text = Path(tempfile.__file__).parent.joinpath("argparse.py").read_bytes()
    pieces = [text[k : k + length] for k in range(0, len(text) - length, length)][:count]
    return [{key: torch.tensor(list(p)) for key in ("input_ids", "labels")} for p in pieces]


def main(steps: int = 80, folder: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Train and return the logged losses and rates."""
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=256, **shape, **heads))
    args = TrainingArguments(
        folder or tempfile.mkdtemp(),
        max_steps=steps,
        learning_rate=5e-3,
        per_device_train_batch_size=8,
        logging_steps=1,
        disable_tqdm=True,
        use_cpu=True,
        **{"report_to": "none", "save_strategy": "no", **arguments},
    )
    trainer = WarmupTrainer(model, args, train_dataset=blocks())
    resume = args.resume_from_checkpoint
    trainer.train(resume_from_checkpoint=resume)
    logs = [log for log in trainer.state.log_history if "loss" in log]
    return {
        "losses": [log["loss"] for log in logs],
        "rates": [log["learning_rate"] for log in logs],
        "gap": logs[-1]["warmup_gap"],
        "warmup_end_step": trainer.lr_scheduler.warmup_end_step,
    }


def show(result: dict[str, Any]) -> None:
    """Print the result and a few rates of the curve."""
    rates, losses = result["rates"], result["losses"]
    some = [rates[k * (len(rates) - 1) // 6] for k in range(7)]
    print("rate:", " ".join(f"{rate:.2g}" for rate in some))
    print(f"warm-up ended at update {result['warmup_end_step']} of {len(rates)}")
    print(f"loss: {losses[0]:.2f} -> {losses[-1]:.2f}")


if __name__ == "__main__":
    show(main())
