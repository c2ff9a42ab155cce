"""axolotl, LLaMA-Factory, TRL: their hooks, played by stand-ins; and themselves where installed.

The lines of a configuration are those of docs/hosts/config-driven.md.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import config_files
import pytest
import torch
from torch import nn

pytest.importorskip("transformers", reason="the trainers are built on transformers")
yaml = pytest.importorskip("yaml", reason="configurations are YAML")

from transformers import Trainer, TrainingArguments  # noqa: E402

from autowarmup import AdaptiveWarmup  # noqa: E402
from autowarmup.integrations.huggingface import AdaptiveWarmupMixin  # noqa: E402

STEPS = 6


class Mean(nn.Module):
    """A model whose loss is the squared distance of one number to the inputs."""

    def __init__(self):
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1))

    def forward(self, x, labels=None):
        return {"loss": (self.at - x).square().mean()}


def trained(trainer_class: type, folder: Path) -> AdaptiveWarmup:
    """Train and return the schedule."""
    args = TrainingArguments(
        str(folder), max_steps=STEPS, per_device_train_batch_size=2, learning_rate=0.1,
        gradient_accumulation_steps=2, logging_steps=1, report_to="none", use_cpu=True,
        save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    data = [{"x": torch.tensor([float(k)])} for k in range(40)]
    trainer = trainer_class(Mean(), args, train_dataset=data)
    trainer.train()
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert trainer.lr_scheduler.trace.column("loss") == pytest.approx(logged, rel=1e-5)
    return trainer.lr_scheduler


def integration(monkeypatch, name: str) -> ModuleType:
    """Import one of ours afresh."""
    monkeypatch.delitem(sys.modules, f"autowarmup.integrations.{name}", raising=False)
    found = importlib.import_module(f"autowarmup.integrations.{name}")
    monkeypatch.delitem(sys.modules, f"autowarmup.integrations.{name}")
    return found


class Configuration(dict):
    """As axolotl's: what is missing is None."""

    __getattr__ = dict.get


@pytest.fixture
def axolotl(monkeypatch) -> ModuleType:
    pytest.importorskip("pydantic")
    if importlib.util.find_spec("axolotl"):
        pytest.skip("the real axolotl is installed and tested below")
    config_files.stand_in(monkeypatch, "axolotl.integrations.base", BasePlugin=object)
    config_files.stand_in(
        monkeypatch, "axolotl.core.trainers", AxolotlTrainer=type("Axo", (Trainer,), {})
    )
    return integration(monkeypatch, "axolotl")


def test_axolotl_finds_the_plugin_and_its_arguments(axolotl, monkeypatch, tmp_path):
    lines = yaml.safe_load(config_files.shown("axolotl"))
    (path,) = lines["plugins"]
    assert path == f"{axolotl.__name__}.AdaptiveWarmupPlugin"
    plugin = axolotl.AdaptiveWarmupPlugin()
    assert plugin.get_input_args() == f"{axolotl.__name__}.AdaptiveWarmupArgs"
    read = axolotl.AdaptiveWarmupArgs(**{k: v for k, v in lines.items() if k != "plugins"})
    assert read.adaptive_warmup == {"decay": "cosine"}
    options = {"adaptive_warmup": {"rule": "linear 3 steps", "decay": "linear"}}
    made = plugin.get_trainer_cls(Configuration(options))
    assert [each.__name__ for each in made.__mro__[1:3]] == ["AdaptiveWarmupMixin", "Axo"]
    scheduler = trained(made, tmp_path)
    assert (scheduler.rule.name, scheduler.state.run.decay) == ("linear 3 steps", "linear")


def test_axolotl_with_another_trainer_is_refused(axolotl):
    with pytest.raises(ValueError, match=r"trains causal models: .* got rl: dpo"):
        axolotl.AdaptiveWarmupPlugin().get_trainer_cls(Configuration(rl="dpo"))


@pytest.fixture
def factory(monkeypatch) -> SimpleNamespace:
    """A stand-in of LLaMA-Factory: a workflow that looks its trainer up when it runs."""
    if importlib.util.find_spec("llamafactory"):
        pytest.skip("the real LLaMA-Factory is installed and tested below")
    usual, ran = type("CustomSeq2SeqTrainer", (Trainer,), {}), []
    config_files.stand_in(monkeypatch, "llamafactory.train.sft.trainer", CustomSeq2SeqTrainer=usual)
    workflow = config_files.stand_in(
        monkeypatch, "llamafactory.train.sft.workflow", CustomSeq2SeqTrainer=usual
    )
    config_files.stand_in(
        monkeypatch,
        "llamafactory.train.tuner",
        run_exp=lambda args: ran.append((args, workflow.CustomSeq2SeqTrainer)),
    )
    config_files.stand_in(monkeypatch, "llamafactory.hparams", read_args=lambda: {"stage": "sft"})
    ours = integration(monkeypatch, "llamafactory")
    return SimpleNamespace(ours=ours, usual=usual, ran=ran, workflow=workflow)


def test_llama_factory_trains_with_the_mixin(factory, tmp_path):
    lines = yaml.safe_load(config_files.shown("LLaMA-Factory"))
    factory.ours.train({"stage": "sft", "learning_rate": 0.1, **lines})
    ((config, trainer),) = factory.ran
    assert config == {"stage": "sft", "learning_rate": 0.1}  # its parser refuses other names
    assert trainer.__mro__[1:3] == (AdaptiveWarmupMixin, factory.usual)
    assert trained(trainer, tmp_path).state.run.decay == "cosine"
    assert factory.workflow.CustomSeq2SeqTrainer is factory.usual  # as it was


def test_llama_factorys_own_command_line_is_read(factory, monkeypatch):
    factory.ours._main()
    assert factory.ran[0][0] == {"stage": "sft"}
    monkeypatch.setattr(factory.ours, "read_args", lambda: ["--stage", "sft"])
    with pytest.raises(SystemExit, match="expected a configuration file"):
        factory.ours._main()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"stage": "ppo"}, "stage: expected one of pt, sft, dpo, got 'ppo'"),
        ({"adaptive_warmup": "linear"}, "adaptive_warmup: expected arguments of AdaptiveWarmup"),
    ],
)
def test_what_llama_factory_cannot_do_is_said(factory, config, sentence):
    with pytest.raises(ValueError, match=sentence):
        factory.ours.train(config)


# -- the real ones ---------------------------------------------------------------------------------

AXOLOTL = """
base_model: ./model
datasets: [{path: ./rows.jsonl, ds_type: json, type: alpaca}]
dataset_prepared_path: prepared
output_dir: ./out
sequence_len: 256
micro_batch_size: 4
gradient_accumulation_steps: 2
max_steps: 12
save_steps: 6
optimizer: adamw_torch
learning_rate: 0.005
logging_steps: 1
bf16: false
fp16: false
tf32: false
special_tokens: {pad_token: <pad>}
"""
FACTORY = """
model_name_or_path: model
stage: sft
do_train: true
finetuning_type: full
template: default
dataset_dir: .
dataset: rows
cutoff_len: 96
output_dir: out
per_device_train_batch_size: 4
gradient_accumulation_steps: 2
learning_rate: 5.0e-3
max_steps: 12
save_steps: 6
logging_steps: 1
report_to: none
"""
REAL = [
    ("axolotl", "axolotl", AXOLOTL, ["-m", "axolotl.cli.train"]),
    ("llamafactory", "LLaMA-Factory", FACTORY, ["-m", "autowarmup.integrations.llamafactory"]),
]


@pytest.mark.parametrize(("package", "title", "config", "command"), REAL, ids=lambda each: None)
def test_a_configuration_trains_and_goes_on(package, title, config, command, tmp_path):
    if not importlib.util.find_spec(package):
        pytest.skip(f"{package} is not installed: it pins other versions of torch and transformers")
    config_files.write_model(tmp_path / "model")
    rows = config_files.rows()
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
    described = json.dumps({"rows": {"file_name": "rows.json"}})
    (tmp_path / "dataset_info.json").write_text(described, encoding="utf-8")
    environment = {**os.environ, "DO_NOT_TRACK": "1", "WANDB_MODE": "disabled"}

    def run(text: str) -> None:
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *command, "config.yaml"], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    text = config + config_files.shown(title)
    run(text)
    whole = config_files.seen_and_logged(tmp_path / "out" / "checkpoint-12")
    assert whole[0] == pytest.approx(whole[1], abs=1e-6)
    assert len(whole[0]) == 12
    assert whole[0][-1] < whole[0][0]
    (tmp_path / "out").rename(tmp_path / "first")
    run(f"{text}resume_from_checkpoint: first/checkpoint-6\n")
    assert config_files.seen_and_logged(tmp_path / "out" / "checkpoint-12") == whole


def test_trl_takes_the_mixin(tmp_path):
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config_files.write_model(tmp_path / "model")

    class WarmupSFTTrainer(AdaptiveWarmupMixin, trl.SFTTrainer):
        warmup_options = {"decay": "cosine"}  # noqa: RUF012 - as on the page

    args = trl.SFTConfig(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=8, save_steps=8,
        gradient_accumulation_steps=2, logging_steps=1, report_to="none", use_cpu=True, bf16=False,
        max_length=96, learning_rate=5e-3,
    )  # fmt: skip
    trainer = WarmupSFTTrainer(
        AutoModelForCausalLM.from_pretrained(tmp_path / "model"),
        args,
        train_dataset=Dataset.from_list([{"text": row["output"]} for row in config_files.rows()]),
        processing_class=AutoTokenizer.from_pretrained(tmp_path / "model"),
    )
    trainer.train()
    seen, logged = config_files.seen_and_logged(tmp_path / "out" / "checkpoint-8")
    assert seen == pytest.approx(logged, abs=1e-6)
    assert len(seen) == 8
