"""The state of one run while it lasts: set up, update, evaluate, save.

The loop over it is in `train`. It runs on Accelerate, so that one process, several, mixed precision
and accumulation are one code. The weights, the order of the data and every choice are functions of
the config, so that a run goes on from a checkpoint as if it had never stopped.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from autowarmup.history import MEASURED, Point
from autowarmup.lab.reading import taken_from
from autowarmup.lab.train import checkpoint, processes
from autowarmup.lab.train.batch_gradient import BatchGradient, windows_at_once
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.data import Corpus, load_corpus
from autowarmup.lab.train.model import build_model, weights_sha256
from autowarmup.lab.train.optimizers import build_optimizer
from autowarmup.lab.train.progress import progress_bar
from autowarmup.lab.train.recipes import recipe
from autowarmup.lab.train.rundir import claim_directory
from autowarmup.lab.train.sharding import shard, whole
from autowarmup.lab.train.state import SHAPE, payload, take_over
from autowarmup.lab.train.trace_file import TraceFile
from autowarmup.measure.observer import CurvatureObserver
from autowarmup.scheduler import AdaptiveWarmup


class Run:
    """Model, optimizer, warm-up, corpus and files of one run.

    Attributes:
        step: updates done.
        trace: the open `trace.jsonl`, after `start`.
        shared_by: how processes share the model: "none", "ddp" or "fsdp".
        seen: a few words on the last update, for the progress bar.
        visible: whether this process shows progress.
        wants_to_stop: set it to stop all processes after the next update, see `stopping`.
        stopping: whether a process wanted to stop before the last update; all know the same.
    """

    def __init__(self, config: TrainConfig, out: Path, *, accelerator: Any, progress: bool) -> None:
        self.began = time.monotonic()
        self.config, self.out, self.accelerator = config, out, accelerator
        if config.threads:
            torch.set_num_threads(config.threads)
        self.shared_by = processes.shared_by(config)
        self.visible = progress and accelerator.is_main_process
        windows_at_once(config, accelerator.num_processes)  # refused before the corpus is made
        self.corpus = self._load_corpus()
        model = build_model(
            recipe(config.recipe),
            vocabulary=self.corpus.vocabulary,
            sequence_length=config.sequence_length,
            seed=config.seed,
        )
        if self.shared_by == "fsdp":
            shard(model, accelerator.device)
        self.optimizer = build_optimizer(
            config.optimizer, model, lr=config.lr, weight_decay=config.weight_decay
        )
        self.scheduler = AdaptiveWarmup(
            self.optimizer,
            config.steps,
            rule=config.rule,
            decay=config.decay,
            final_fraction=config.final_fraction,
            lower_bound=config.lower_bound,
            # The loop hands over the mean of all processes, read already with the gradient norm.
            process_group=False,
            lag=0,
        )
        # The scheduler stays out of `prepare`, which would step it once per process.
        self.stepper = accelerator.prepare(self.optimizer)
        wrapped = model if self.shared_by == "fsdp" else accelerator.prepare(model)
        self.batch = BatchGradient(config, accelerator, wrapped)
        self.model = self.batch.model
        self.observer = self._observer() if config.measure else None
        self.step = 0
        self.seen = ""
        self.wants_to_stop = self.stopping = False

    def _observer(self) -> CurvatureObserver | None:
        """Measure on the first process alone, on its part of the batch: a step moves all alike."""
        config = self.config
        if not self.accelerator.is_main_process:
            return None
        return CurvatureObserver(
            self.model,
            self.optimizer,
            self.batch.own_loss,
            norm=config.measure_norm,
            count=config.measure_count,
            every=config.measure_every,
            lower_bound=config.lower_bound,
            next_batch=config.measure_next,
            hessian=config.measure_hessian,
        )

    def _load_corpus(self) -> Corpus:
        config = self.config
        wanted = config.steps * config.batch_size * config.sequence_length
        known = wanted if config.data == "fineweb" else None  # files end where they end
        with (
            self.accelerator.main_process_first(),  # the others find it in the cache
            progress_bar("tokens", known, visible=self.visible, passing=True) as show,
        ):
            return load_corpus(
                config.data,
                config.tokenizer,
                length=config.sequence_length,
                wanted=wanted,
                tell=lambda done: show(done, "made"),
            )

    def start(self, *, resume: bool) -> None:
        """Claim the directory and take over the latest checkpoint, if asked to."""
        load, first = checkpoint.load_checkpoint, self.accelerator.is_main_process
        saved = None
        if resume:
            saved = processes.first_decides(self.accelerator, lambda: load(self.out, SHAPE))
        if saved is not None:
            file = self.out / f"checkpoint-{saved['step']}.pt"
            with taken_from(file, "a checkpoint of this run"):
                take_over(self, saved)
        processes.first_decides(self.accelerator, lambda: claim_directory(self.out, self.config))
        length = saved["trace_length"] if saved else 0
        self.trace = TraceFile(self.out / "trace.jsonl" if first else None, length=length)

    def save(self) -> None:
        """Write a checkpoint of this moment."""
        values = payload(self)

        def write() -> None:
            self.trace.flush()
            values["trace_length"] = self.trace.length
            checkpoint.save_checkpoint(self.out, self.step, values)

        processes.first_decides(self.accelerator, write)

    def update(self) -> str:
        """Make one update and write its line; return why the run must stop, or nothing."""
        config = self.config
        self.batch.take(
            self.corpus.batch(
                seed=config.seed,
                step=self.step,
                batch_size=config.batch_size,
                length=config.sequence_length,
            )
        )
        see = None if self.observer is None else self.observer.see
        loss, grad_norm, self.stopping = self.batch.gradient(wish=self.wants_to_stop, see=see)
        if math.isfinite(loss):
            self._move(loss, grad_norm)
            return ""
        self.trace.append(Point(self.step, loss, phase=self.scheduler.phase, grad_norm=grad_norm))
        return (
            f"the loss became {loss} at update {self.step} of {config.steps}; a lower peak "
            f"rate than {config.lr:g} or a longer warm-up may help"
        )

    def _move(self, loss: float, grad_norm: float) -> None:
        """Step the optimizer, then the warm-up, and write down what happened."""
        if self.step == 0 and self.config.calibrate:
            self._measure_start()
        factor, phase = self.scheduler.factor, self.scheduler.phase
        lr = float(self.optimizer.param_groups[0]["lr"])
        self.stepper.step()
        if not self.accelerator.optimizer_step_was_skipped:
            self.scheduler.step(loss)
        self.stepper.zero_grad()
        self.step += 1
        last = self.step == self.config.steps
        evaluated = last or self.step % self.config.eval_interval == 0
        point = None if self.observer is None else self.observer.latest
        measured = {} if point is None else point.to_dict()
        self.trace.append(
            Point(
                step=self.step - 1,
                loss=loss,
                gap=self.scheduler.gap,
                lr=lr,
                factor=factor,
                phase=phase,
                status=self.scheduler.status.name,
                val_loss=self._evaluate(full=last) if evaluated else None,
                grad_norm=grad_norm,
                **{key: value for key, value in measured.items() if key in MEASURED},
            )
        )
        self.seen = f"loss {loss:.3f}  lr {lr:.1e}  {phase}"

    def _measure_start(self) -> None:
        """Measure the first rate with the clipped gradient of the first update."""
        self.scheduler.calibrate(self.batch.whole_loss)
        state = self.scheduler.state_dict()
        self.scheduler.load_state_dict(processes.first_decides(self.accelerator, lambda: state))

    def _evaluate(self, *, full: bool) -> float:
        """Return the mean loss on the fixed validation batches, or on about a quarter of them."""
        batches, size = self.config.eval_batches, self.config.batch_size
        windows = self.corpus.fixed_windows(
            count=batches * size, length=self.config.sequence_length
        )
        if not full and batches > 1:
            share = max(1, batches // 4)
            windows = windows[:: batches // share][: share * size]
        return self.batch.mean_loss(windows)

    def facts(self) -> dict[str, Any]:
        """Return what the record says about warm-up and the end of the run; every process asks."""
        digest = weights_sha256(whole(dict(self.model.named_parameters())))
        scheduler, memory = self.scheduler, self.scheduler.state.memory
        facts: dict[str, Any] = {
            "warmup_end_step": scheduler.warmup_end_step,
            "warmup_ended_by": scheduler.warmup_ended_by,
            "div": None if scheduler.rule.measured_start is None else scheduler.div,
            # The gaps that the law of the gap went by.
            "gap0": getattr(memory, "gap0", None),
            "gap_peak": getattr(memory, "gap_peak", None),
            "steps_done": self.step,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "tokens": self.step * self.config.batch_size * self.config.sequence_length,
            "weights_sha256": digest,
            "seconds": time.monotonic() - self.began,
        }
        if self.observer is not None:
            facts["measure"] = self.observer.facts()
        if self.shared_by != "none":
            facts["parallel"] = self.shared_by
            facts["processes"] = self.accelerator.num_processes
            facts["replicas_agree"] = processes.same_everywhere(digest)
        return facts
