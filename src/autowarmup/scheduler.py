"""The torch shell around a rule: agree on the loss, step the rule, write the rates.

One factor in (0, 1] multiplies the peak rate of every parameter group, so that groups with rates of
their own (Muon beside AdamW) keep their proportions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from autowarmup.agreement import Agreement, LossSum
from autowarmup.group_rules import GroupRules
from autowarmup.history import History
from autowarmup.notices import Notices, ignored
from autowarmup.optimizer_class import slowest_beta
from autowarmup.rates import Rates, on_accelerator
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.life import advanced_to
from autowarmup.rules.registry import DEFAULT_RULE
from autowarmup.rules.state import WarmupState
from autowarmup.rules.status import Status
from autowarmup.rules.stepping import step
from autowarmup.saved import refuse_renamed
from autowarmup.steering import Steering
from autowarmup.updates import Updates
from autowarmup.wrappers import as_list

Words = Mapping[str, str | Rule[Any]]
GroupRule = str | Rule[Any] | Words | Callable[[dict[str, Any]], str | Rule[Any]]
"""What `rule` may be: one rule, or rules by word or by group."""


class AdaptiveWarmup(Steering):
    """Warm-up without tuning, then a decay over the steps that remain.

    With the default rule, "paced", the rate rises for as long as optimizers of this class need: in
    a straight line over 300 updates for Muon, 2,000 for Lion and AdamW, and faster in a run that is
    too short for that or for a model that is trained already; `Paced(tokens_per_update=...)` counts
    tokens instead. Where the loss rises, the rate is halved. What it rests on is in docs/bench.md.
    Other rules are fixed lengths ("linear 5%"), the two papers' laws ("flat", "accurate",
    "published" of arXiv 2602.05813; "h0h1" of arXiv 2510.03164), those of others, and your own
    (docs/add-a-rule.md).

    Call `step(loss)` after each `optimizer.step()`; with several micro-batches call `observe(loss)`
    for each and then `step()`. Without an optimizer step since the last one, or if a fused
    optimizer skipped it, `step` sets nothing and drops the losses seen since: mixed precision threw
    that update away.

    In several processes (torch.distributed) every process tells its own losses and all hold the
    same rate bit for bit: the mean over micro-batches and processes decides, and a loss that is
    not finite in one process is not finite for all. Nothing is gathered once the rule reads no
    loss any more.

    Args:
        optimizer: one torch optimizer or a list of them; a wrapper (Accelerate, SAM, Lookahead)
            stands for what it steps. Their groups' `lr` at this moment are the peak rates, or their
            `initial_lr` where another scheduler has left one, as for every scheduler of torch.
        total_steps: optimizer steps of the whole run; `None` if nobody knows yet: after warm-up the
            rate stays at the peak until `start_decay`. Rules that count shares of the run need it.
        rule: what leads to the peak rate: a name ("paced", "linear 5%", "linear 500 steps",
            "flat(div=50)", see `autowarmup.rules.rule_of`) or a rule with its settings
            (`Paced(length=500)`, `GapLaw(end="accurate", div=50)`, your own). A mapping or a
            function gives parameter groups rules of their own, see docs/groups.md:
            `{"spectral": "linear 300 steps", "other": "paced"}`.
        decay: "cosine", "linear", "wsd", "sqrt" or "constant".
        final_fraction: share of the peak rate at the end of the decay.
        lower_bound: a number that the loss cannot go below; the gap is the loss minus it. 0, which
            it is by default, holds for cross-entropy and every other non-negative loss. Only rules
            that follow the gap read it; the default one does not.
        process_group: the processes whose losses are averaged: `None` for all of them if
            torch.distributed is initialised, a process group or a device mesh of one dimension, or
            `False` if the losses given are the same in every process already.
        reduce: how the losses of micro-batches and processes become one: "mean" (weighted),
            "sum", "mean_of_sums" (sums over micro-batches, mean over processes), or a callable
            that gets a list of `autowarmup.agreement.LossSum`, one per process that has a loss.
        lag: updates by which the loss reaches the rate late. 0 waits for it; with 1 it is copied
            beside the training and nothing waits. By default 1 if parameters are on an
            accelerator, else 0. The first `lag` updates count as having no loss.
        last_epoch: as for torch's schedulers: index of the last update of a run that goes on
            without a saved state, for rules that go by the number of updates.

    Raises:
        ValueError: an argument of another type or out of its range, a parameter group without
            "lr", or, at the first loss, a `lower_bound` above it.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> scheduler = AdaptiveWarmup(optimizer, total_steps=100)
        >>> round(scheduler.get_last_lr()[0], 3)
        0.051
        >>> for loss in [4.0, 3.0, 2.0, 1.0, 1.0, 1.0]:
        ...     optimizer.step()
        ...     scheduler.step(loss)
        >>> scheduler.phase, round(scheduler.get_last_lr()[0], 3)
        ('warmup', 0.164)
    """

    def __init__(
        self,
        optimizer: Optimizer | Sequence[Optimizer],
        total_steps: int | None = None,
        *,
        rule: GroupRule = DEFAULT_RULE,
        decay: str = "cosine",
        final_fraction: float = 0.0,
        lower_bound: float | None = None,
        process_group: Any = None,
        reduce: str | Callable[[Sequence[LossSum]], float] = "mean",
        lag: int | None = None,
        last_epoch: int = -1,
        **renamed: Any,
    ) -> None:
        refuse_renamed(renamed)
        self.optimizers = as_list(optimizer)
        if lag is None:
            lag = int(on_accelerator(self.optimizers))
        self._groups = GroupRules(rule, self.optimizers)
        self._run = Run(
            total_steps,
            decay=decay,
            final_fraction=final_fraction,
            lower_bound=0.0 if lower_bound is None else lower_bound,
            beta=slowest_beta(self.optimizers),
        )
        rules = self._groups.rules
        begun = {w: advanced_to(self._groups.begun(w, self._run), last_epoch) for w in rules}
        self._word, *others = begun
        self.state: WarmupState = begun[self._word]
        self._others: dict[str, WarmupState] = {word: begun[word] for word in others}
        self._rates = Rates(self.optimizers)
        self.calibration: list[tuple[float, float]] = []
        self.agreement = Agreement(process_group, reduce, lag)
        self._history = History(most=2048)
        for each in rules.values():
            for sentence in ignored(each, decay, final_fraction, lower_bound):
                warnings.warn(sentence, stacklevel=2)
        self._notices = Notices()
        # Before the last update: the state, the states of other groups, the loss that followed.
        self._made: tuple[WarmupState, dict[str, WarmupState], float | None] | None = None
        self._deferred = False
        # Whether a finite loss has come, or none is waited for.
        self._fed = not any(each.reads_loss for each in rules.values())
        super().__init__(self.optimizers[0])
        self._rates.remember()
        self._updates = Updates(self.optimizers, waits=self.agreement.lag == 0)

    # -- what training tells -------------------------------------------------------------------

    def observe(self, loss: float | Tensor, weight: float | Tensor = 1.0) -> None:
        """Take in the loss of one micro-batch; `step` uses the mean since the last update.

        Args:
            loss: mean loss over the micro-batch. A tensor on an accelerator stays there: nothing
                waits for it.
            weight: its share of the mean where micro-batches differ in size: number of samples or
                tokens. An empty one, of weight 0, counts for nothing whatever its loss.
        """
        self.agreement.buffer.add(loss, weight)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's own `epoch` is deprecated
        self,
        loss: float | Tensor | None = None,
        *,
        metrics: float | Tensor | None = None,
        weight: float | Tensor = 1.0,
        updated: bool | None = None,
    ) -> None:
        """Advance by one optimizer step and set the rates of the next one.

        Args:
            loss: loss of the batch that the optimizer just stepped on; `None` where `observe` was
                given the micro-batches.
            metrics: the same, under the name that torch uses for losses.
            weight: as in `observe`.
            updated: whether the optimizer stepped, where the caller knows better than its hooks: a
                replayed CUDA graph calls none (`True`), a host may know that an update was
                thrown away (`False`).
        """
        given = metrics if loss is None else loss
        if self._deferred and given is None and updated is None:
            return  # the host's own call; `settle` will follow
        self._end_update(given, weight, updated)

    def defer(self, *, agreed: bool = False) -> None:
        """Let bare calls of `step()` do nothing from now on; `settle` ends an update instead.

        For callbacks of hosts that call `step()` before anybody knows the loss.

        Args:
            agreed: the host has averaged the losses over processes itself, and they are numbers.
        """
        self._deferred = True
        if agreed:
            self.agreement = Agreement(False, "mean", 0)
            self._updates.waits = True

    def settle(self) -> None:
        """End an update after `defer`, on the losses that `observe` was given since the last."""
        self._end_update(None, 1.0, None)

    def _end_update(
        self, given: float | Tensor | None, weight: float | Tensor, updated: bool | None
    ) -> None:
        happened, overflow = self._updates.take(updated)
        if not happened:
            self.agreement.buffer.clear()  # of an update that was thrown away
            return
        needed = self.state.reads_next
        if self._others:
            needed = needed or any(each.reads_next for each in self._others.values())
        seen, skipped = self.agreement.end_update(given, weight, needed=needed, overflow=overflow)
        if not skipped:
            self._advance(seen)

    def skip(self) -> None:
        """Forget the losses since the last update, and the update if there was one."""
        self._updates.set(False)
        self.agreement.buffer.clear()

    # -- inside --------------------------------------------------------------------------------

    def _initial_step(self) -> None:
        """Called by LRScheduler.__init__: set the rates of the first update."""
        self._write()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy, with its own optimizers, known to later schedulers of these."""
        self.__dict__.update(state)
        self._rates.remember()

    def _advance(self, loss: float | None) -> None:
        before, others = self.state, self._others
        self.state = state = step(before, loss)
        if others:
            self._others = {word: step(each, loss) for word, each in others.items()}
            for word, each in others.items():
                for sentence in self._notices.after(each, self._others[word], loss):
                    warnings.warn(f"groups {word!r}, {sentence}", stacklevel=3)
        if not self._fed:
            self._fed = loss is not None and math.isfinite(loss)
            over = before.phase == "warmup" and state.phase != "warmup"
            if not self._fed and (over or state.status is Status.CAP_REACHED):
                self._fed = True  # said once
                warnings.warn(
                    "no finite loss reached AdaptiveWarmup: expected step(loss) or observe(loss) "
                    "with each update; warm-up goes by the number of steps instead",
                    stacklevel=3,
                )
        self._made = before, others, loss
        if state.status is not before.status or state.phase != before.phase:
            for sentence in self._notices.after(before, state, loss):
                warnings.warn(sentence, stacklevel=3)
        if before.step % self._history.stride == 0:
            self._history.add(
                before.step,
                math.nan if loss is None else loss,
                state.tracker.gap,
                self._rates.first * before.factor,
                before.factor,
                before.phase,
                state.status.name,
            )
        self._write()

    def _write(self) -> None:
        state = self.state
        if self._groups.several:
            self._rates.write_each(self.factors)
        else:
            self._rates.write(state.factor)
        self.last_epoch = state.step
        self._step_count = state.step + 1  # wrappers of schedulers count on it
