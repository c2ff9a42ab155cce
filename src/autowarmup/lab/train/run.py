"""The state of one run while it lasts: set up, update, evaluate, save.

The loop over it is in `train`. It runs on Accelerate, so that one process, several (see
`parallel`), mixed precision and accumulation are one code. The weights, the order of the data and
every choice are functions of the config, so that a run goes on from a checkpoint as if it had
never stopped.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint as recompute

from autowarmup.history import MEASURED, Point
from autowarmup.lab.train import checkpoint, parallel
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.data import Corpus, load_corpus
from autowarmup.lab.train.model import build_model, token_loss, weights_sha256
from autowarmup.lab.train.optimizers import build_optimizer
from autowarmup.lab.train.progress import progress_bar
from autowarmup.lab.train.rundir import TraceFile, claim_directory
from autowarmup.lab.train.state import payload, take_over, whole
from autowarmup.measure.observer import CurvatureObserver
from autowarmup.norms.sharded import is_sharded
from autowarmup.rules.gap_law.rule import LawMemory
from autowarmup.scheduler import AdaptiveWarmup


class Run:
    """Model, optimizer, warm-up, corpus and files of one run.

    Attributes:
        step: updates done.
        trace: the open `trace.jsonl`, after `start`.
        seen: a few words on the last update, for the progress bar.
        visible: whether this process shows progress.
        wants_to_stop: set it to stop all processes after the next update, see `stopping`.
        stopping: whether a process wanted to stop before the last update; all know the same.
    """

    def __init__(self, config: TrainConfig, out: Path, *, accelerator: Any, progress: bool) -> None:
        self.began = time.monotonic()
        self.config, self.out = config, out
        if config.threads:
            torch.set_num_threads(config.threads)
        self.accelerator, self.way = accelerator, parallel.way_of(config)
        self.visible = progress and self.accelerator.is_main_process
        self.length, self.batch = config.sequence_length, config.batch_size
        self.chunk = self._chunk_size()
        self.corpus = self._load_corpus()
        model = build_model(
            config.size,
            vocabulary=self.corpus.vocabulary,
            sequence_length=self.length,
            seed=config.seed,
        )
        if self.way == "fsdp":
            parallel.shard(model, accelerator.device)
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
        self.wrapped = model if self.way == "fsdp" else accelerator.prepare(model)
        self.model = accelerator.unwrap_model(self.wrapped)
        self.parameters = list(self.wrapped.parameters())
        self.chunks: tuple[torch.Tensor, ...] = ()
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
            self._batch_loss,
            norm=config.measure_norm,
            count=config.measure_count,
            every=config.measure_every,
            f_star=config.lower_bound,
            next_batch=config.measure_next,
            hessian=config.measure_hessian,
        )

    def _chunk_size(self) -> int:
        """Sequences that one process takes through the model at a time."""
        share = self.accelerator.num_processes * self.config.accumulation
        if self.batch % share:
            raise ValueError(
                f"batch_size: expected a multiple of processes times accumulation ({share}), "
                f"got {self.batch}"
            )
        return self.batch // share

    def _load_corpus(self) -> Corpus:
        wanted = self.config.steps * self.batch * self.length
        known = wanted if self.config.data == "fineweb" else None  # files end where they end
        with (
            self.accelerator.main_process_first(),  # the others find it in the cache
            progress_bar("tokens", known, visible=self.visible, passing=True) as show,
        ):
            return load_corpus(
                self.config.data,
                self.config.tokenizer,
                length=self.length,
                wanted=wanted,
                tell=lambda done: show(done, "made"),
            )

    # -- beginning and going on --------------------------------------------------------------

    def start(self, *, resume: bool) -> None:
        """Claim the directory and take over the latest checkpoint, if asked to.

        Raises:
            ValueError: the checkpoint cannot be read, or was made on another corpus.
        """
        everyone = self.accelerator
        load = checkpoint.load_checkpoint
        saved = parallel.first_decides(everyone, lambda: load(self.out)) if resume else None
        if saved is not None:
            take_over(self, saved)
        parallel.first_decides(everyone, lambda: claim_directory(self.out, self.config))
        path = self.out / "trace.jsonl" if everyone.is_main_process else None
        length = saved["trace_length"] if saved else 0
        self.trace = TraceFile(path, length=length)

    def save(self) -> None:
        """Write a checkpoint of this moment.

        Raises:
            OSError: one sentence, e.g. for a full disk; earlier checkpoints are intact.
        """
        values = payload(self)

        def write() -> None:
            self.trace.flush(durable=True)
            values["trace_length"] = self.trace.length
            checkpoint.save_checkpoint(self.out, self.step, values)

        parallel.first_decides(self.accelerator, write)

    # -- one update --------------------------------------------------------------------------

    def update(self) -> str:
        """Make one update and write its line; return why the run must stop, or nothing."""
        windows = self.corpus.batch(
            seed=self.config.seed, step=self.step, batch_size=self.batch, length=self.length
        )
        self.chunks = self._mine(windows)
        loss, grad_norm = self._gradient()
        if math.isfinite(loss):
            self._move(loss, grad_norm)
            return ""
        self.trace.append(Point(self.step, loss, phase=self.scheduler.phase, grad_norm=grad_norm))
        return (
            f"the loss became {loss} at update {self.step} of {self.config.steps}; a lower peak "
            f"rate than {self.config.lr:g} or a longer warm-up may help"
        )

    def _mine(self, windows: np.ndarray) -> tuple[torch.Tensor, ...]:
        """Return the windows of this process on its device, one chunk at a time."""
        accelerator = self.accelerator
        mine = windows[accelerator.process_index :: accelerator.num_processes]
        return torch.from_numpy(mine).to(accelerator.device).split(self.chunk)

    def _gradient(self) -> tuple[float, float]:
        """Leave the clipped gradient of the whole batch; return its loss and its norm before."""
        losses: list[torch.Tensor] = []
        grad_norm = torch.zeros(())
        for chunk in self.chunks:
            with self.accelerator.accumulate(self.wrapped):
                loss = self._loss(self.wrapped, chunk)
                self.accelerator.backward(loss)
                losses.append(loss.detach())
                if self.accelerator.sync_gradients:
                    self._show_observer(losses)
                    limit = self.config.clip or math.inf  # infinity measures and clips nothing
                    norm = self.accelerator.clip_grad_norm_(self.parameters, limit)
                    grad_norm = norm.full_tensor() if is_sharded(norm) else torch.as_tensor(norm)
        # One look at the device an update: what is reported comes over at once. A wish to stop goes
        # along, since all must stop after the same update.
        stop = torch.full_like(losses[0], float(self.wants_to_stop))
        reported = torch.stack([torch.stack(losses).mean(), grad_norm, stop])
        loss, norm, wishes = self._over_processes(reported).tolist()
        self.stopping = wishes > 0.0
        return loss, norm

    def _loss(self, model: Any, chunk: torch.Tensor) -> torch.Tensor:
        with self.accelerator.autocast():  # `prepare` does the same; FSDP2 models do without it
            return token_loss(model, chunk)

    def _show_observer(self, losses: list[torch.Tensor]) -> None:
        """Spare the observer a pass where these gradients are those of the batch, unscaled."""
        alone = self.accelerator.num_processes == 1 and self.accelerator.scaler is None
        if self.observer is not None and alone:
            self.observer.see(torch.stack(losses).mean())

    def _over_processes(self, values: torch.Tensor) -> torch.Tensor:
        if self.accelerator.num_processes == 1:
            return values
        mean = self.accelerator.reduce(values, "mean")
        assert isinstance(mean, torch.Tensor)
        return mean

    def _move(self, loss: float, grad_norm: float) -> None:
        """Step the optimizer, then the warm-up, and write down what happened."""
        if self.step == 0:
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
        self.trace.append(
            Point(
                step=self.step - 1,
                loss=loss,
                gap=self.scheduler.gap,
                lr=lr,
                factor=factor,
                phase=phase,
                status=self.scheduler.status.name,
                val_loss=self.evaluate(full=last) if evaluated else None,
                grad_norm=grad_norm,
                **self._measured(),
            )
        )
        self.seen = f"loss {loss:.3f}  lr {lr:.1e}  {phase}"

    def _measured(self) -> dict[str, float]:
        """Return what the observer saw of this update, by the names of `Point`."""
        point = None if self.observer is None else self.observer.latest
        own = {} if point is None else point.to_dict()
        return {key: value for key, value in own.items() if key in MEASURED}

    def _batch_loss(self) -> torch.Tensor:
        """Return the loss of the current batch with its graph, in the memory of one chunk."""
        chunks = self.chunks
        if len(chunks) == 1:
            return token_loss(self.model, chunks[0])
        losses = [recompute(token_loss, self.model, c, use_reentrant=False) for c in chunks]
        return torch.stack([loss for loss in losses if loss is not None]).mean()

    def _measure_start(self) -> None:
        """Measure the first rate with the clipped gradient of the first update, if asked for."""
        if not self.config.measures_start:
            return
        loss = parallel.global_loss(self.accelerator, self.parameters, self._batch_loss)
        self.scheduler.calibrate(loss)
        state = self.scheduler.state_dict()
        self.scheduler.load_state_dict(parallel.first_decides(self.accelerator, lambda: state))

    @torch.no_grad()
    def evaluate(self, *, full: bool) -> float:
        """Return the mean loss on the fixed validation batches, or on about a quarter of them."""
        batches = self.config.eval_batches
        windows = self.corpus.fixed_windows(count=batches * self.batch, length=self.length)
        if not full and batches > 1:
            share = max(1, batches // 4)
            windows = windows[:: batches // share][: share * self.batch]
        self.wrapped.eval()
        losses = [self._loss(self.wrapped, chunk) for chunk in self._mine(windows)]
        self.wrapped.train()
        return float(self._over_processes(torch.stack(losses).mean()))

    def how_it_warmed_up(self) -> dict[str, Any]:
        """Return what the record says about warm-up, with the gaps that the law went by."""
        memory = self.scheduler.state.memory
        law = memory if isinstance(memory, LawMemory) else LawMemory()
        return {
            "warmup_end_step": self.scheduler.warmup_end_step,
            "warmup_ended_by": self.scheduler.warmup_ended_by,
            "div": None if self.scheduler.rule.measured_start is None else self.scheduler.div,
            "gap0": law.gap0,
            "gap_peak": law.gap_peak,
        }

    def facts(self) -> dict[str, Any]:
        """Return what the record says about the state the run ended in; every process asks."""
        digest = weights_sha256(whole(dict(self.model.named_parameters())))
        several: dict[str, Any] = {}
        if self.way != "none":
            several = {
                "parallel": self.way,
                "processes": self.accelerator.num_processes,
                "replicas_agree": parallel.same_everywhere(self.accelerator, digest),
            }
        return {
            "steps_done": self.step,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "tokens": self.step * self.batch * self.length,
            "weights_sha256": digest,
            "seconds": time.monotonic() - self.began,
            **({} if self.observer is None else {"measure": self.observer.facts()}),
            **several,
        }
