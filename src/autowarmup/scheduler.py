"""The torch shell around a rule: agree on the loss, step the rule, write the rates.

One factor in (0, 1] multiplies the peak rate of every parameter group, so that groups with rates of
their own (Muon beside AdamW) keep their proportions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.agreement import Agreement, LossSum
from autowarmup.calibrate import measure_start
from autowarmup.group_rules import ALL, GroupRules
from autowarmup.history import History
from autowarmup.notices import Notices, ignored
from autowarmup.optimizer_class import kappa_of, model_facts, slowest_beta
from autowarmup.rates import Rates, on_accelerator
from autowarmup.rules.base import Rule, Run, expect, whole
from autowarmup.rules.life import advanced_to, with_decay, with_end, with_ramp
from autowarmup.rules.registry import DEFAULT_RULE, rule_of
from autowarmup.rules.state import WarmupState, begin, step
from autowarmup.rules.status import Status
from autowarmup.saved import FORMAT, differences, of_today, refuse_renamed
from autowarmup.standing import Standing
from autowarmup.updates import Updates
from autowarmup.wrappers import as_list

Words = Mapping[str, str | Rule[Any]]
GroupRule = str | Rule[Any] | Words | Callable[[dict[str, Any]], str | Rule[Any]]
"""What `rule` may be: one rule, or rules by word or by group."""


class AdaptiveWarmup(Standing):
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
        self._rules = GroupRules(rule)
        self._words = self._rules.words_of(self.optimizers)
        self._rules.refuse_unused()
        self._run = Run(
            total_steps,
            decay=decay,
            final_fraction=final_fraction,
            lower_bound=0.0 if lower_bound is None else lower_bound,
            beta=slowest_beta(self.optimizers),
        )
        begun = {word: advanced_to(self._begun(word, 0), last_epoch) for word in self._rules.rules}
        self._word, *others = begun
        self.state: WarmupState = begun[self._word]
        self._others: dict[str, WarmupState] = {word: begun[word] for word in others}
        self._rates = Rates(self.optimizers)
        self.calibration: list[tuple[float, float]] = []
        self.agreement = Agreement(process_group, reduce, lag)
        self._history = History(most=2048)
        for each in self._rules.rules.values():
            for sentence in ignored(each, decay, final_fraction, lower_bound):
                warnings.warn(sentence, stacklevel=2)
        self._notices = Notices()
        # Before the last update: the state, the states of other groups, the loss that followed.
        self._made: tuple[WarmupState, dict[str, WarmupState], float | None] | None = None
        self._deferred = False
        # Whether a finite loss has come, or none is waited for.
        self._fed = not any(each.reads_loss for each in self._rules.rules.values())
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

    def calibrate(
        self,
        closure: Callable[[], Tensor],
        *,
        c: float | None = None,
        model: nn.Module | None = None,
    ) -> float:
        """Measure `div` on the first batch, before the first update, and return it.

        For rules that start from a measured rate; for others, the default among them, it measures
        nothing, says so in a warning and returns the `div` that the rule has.

        Tries the first step of this very optimizer at falling fractions of the peak rates and keeps
        the largest whose actual decrease of the loss is at least a share `c` of the decrease that
        the gradient promises; div is its inverse, and 1 means that no warm-up is needed. Weights,
        optimizer state and random state are restored bit for bit. Gradients that are already there
        (accumulated, clipped) are the ones the trial steps use. Several processes measure together,
        each on its own part of the batch: call it in all of them, after backward, with a closure
        that runs the bare module (not DDP's wrapper). Sharded parameters are not supported.

        Args:
            closure: returns the loss of the first batch, without backward; about a dozen calls.
            c: least share of the promised decrease, in [0, 1); the rule's own if not given.
            model: give it when a forward pass changes its buffers (BatchNorm): they are restored.

        Raises:
            ValueError: called after the first update, or the loss is not finite or not above
                `lower_bound`.
        """
        rule, run = self.state.rule, self.state.run
        expect(callable(closure), "a closure that returns the loss of the first batch", closure)
        if self.state.step > 0 or self._updates.happened:
            raise ValueError(
                "calibrate measures the first update: expected a call before it, "
                f"got one after {self.state.step + self._updates.happened}"
            )
        if rule.measured_start is None:
            warnings.warn(
                f"calibrate measured nothing: the rule {rule.name!r} has no measured start, "
                f"its first rate stays the peak rate / {self.div:.4g}",
                stacklevel=2,
            )
            return self.div
        try:
            start = measure_start(
                self.optimizers,
                self.peak_lrs,
                closure,
                c=rule.measured_start if c is None else c,
                model=model,
                agree=self.agreement.average,
            )
        finally:
            self._updates.set(False)  # the trial steps were taken back
            self._write(self.state.factor)
        if not start.loss > run.lower_bound:
            raise ValueError(
                "lower_bound must lie below the first loss: "
                f"expected less than {start.loss:.6g}, got {run.lower_bound:.6g}"
            )
        self.calibration = list(start.probes)
        if start.fraction is None:
            warnings.warn(
                "calibrate found no fraction of the peak rate whose first step points downhill; "
                f"div stays {self.div:g}",
                stacklevel=2,
            )
            return self.div
        self.state = begin(rule, replace(run, div=1.0 / start.fraction))
        self._write(self.state.factor)
        return self.div

    # -- what becomes of the run ---------------------------------------------------------------
    # Several processes have to agree: call these in all of them, after the same update.

    def start_decay(self, steps: int) -> str:
        """Decay over the next `steps` updates, from the rate that was reached, and say so.

        Ends warm-up, and a run without a known end. In a decay it begins anew, without a jump.

        Raises:
            ValueError: `steps` is below 1.

        Example:
            >>> import torch
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
            >>> scheduler = AdaptiveWarmup(optimizer, rule="none", decay="linear")
            >>> for _ in range(3):
            ...     optimizer.step()
            ...     scheduler.step()
            >>> scheduler.phase, scheduler.start_decay(2)
            ('stable', 'the rate decays over updates 3 to 4 and the run ends after 5')
            >>> for _ in range(2):
            ...     print(scheduler.get_last_lr(), end=" ")
            ...     optimizer.step()
            ...     scheduler.step()
            [0.5] [0.25]
        """
        self._set(lambda state: with_decay(state, steps))
        return self._said()

    def extend(self, total_steps: int) -> str:
        """Let the run end after `total_steps` updates in all, and say what follows.

        In warm-up only the end moves. Afterwards, also when the run was over, a decay begins at the
        rate in force, without a jump, over the updates that remain now, to the same final rate.

        Raises:
            ValueError: not more updates than were taken.
        """
        total_steps = whole("total_steps", total_steps)
        now = self.state.step  # groups that joined count from there
        self._set(lambda state: with_end(state, total_steps - (now - state.step)))
        if self.phase == "warmup":
            return f"the run ends after {total_steps:,} updates; warm-up goes on"
        return self._said()

    def rewarm(self, steps: int | None = None) -> str:
        """Climb once more over the next updates, and say so.

        For a run that was resumed without the state of its optimizer, on new data, or with another
        batch. What the schedule says is multiplied by 1/W, 2/W, ..., 1.

        Args:
            steps: W, >= 1. By default 2 / (1 - beta), what the slowest average of the optimizer
                needs to fill (arXiv 1910.04209, section 4.3), at most 5 % of what remains.

        Raises:
            ValueError: `steps` is below 1, or the run is over.
        """
        self._set(lambda state: with_ramp(state, steps))
        first, length = self.state.rewarmed or (self.state.step, 1)
        return f"the rate climbs again over updates {first:,} to {first + length - 1:,}"

    def _set(self, moved: Callable[[WarmupState], WarmupState]) -> None:
        """Move the states of all groups, or, where one is refused, none."""
        state, others = moved(self.state), {w: moved(s) for w, s in self._others.items()}
        self.state, self._others = state, others
        self._write(state.factor)

    def _said(self) -> str:
        first, total = self.state.step, self.state.run.length
        return (
            f"the rate decays over updates {first:,} to {total - 1:,} "
            f"and the run ends after {total:,}"
        )

    # -- saving --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state as plain numbers, strings and lists.

        It is the same in every process when taken after `step`: losses of micro-batches that wait
        for their update are the process's own.
        """
        return {
            "format": FORMAT,
            "warmup": self.state.to_dict(),
            "peak_lrs": [list(peaks) for peaks in self.peak_lrs],
            "calibration": [list(probe) for probe in self.calibration],
            "agreement": self.agreement.state_dict(),
            "history": self._history.state_dict(),
            "updated": self._updates.happened,
            "fed": self._fed,
        } | (self._state_of_groups() if self._rules.several else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a saved state, its settings included, and set the rates that it stands for.

        Where the scheduler was made with other settings, one warning names both.

        Raises:
            ValueError: not a state of this class, or one for other parameter groups.
        """
        state_dict = of_today(state_dict, self.agreement.lag)
        expected = [len(o.param_groups) for o in self.optimizers]
        got = [len(peaks) for peaks in state_dict["peak_lrs"]]
        if got != expected:
            raise ValueError(
                "the saved state must fit the optimizers: expected peak rates for "
                f"{expected} parameter groups, got {got}"
            )
        fresh, peaks = self.state, [list(each) for each in self.peak_lrs]
        state = WarmupState.from_dict(state_dict["warmup"], self._rule_of)
        self._load_groups(state_dict)
        self.state = state
        self._rates.peaks = state_dict["peak_lrs"]
        self._made = None
        self.calibration = [(probe[0], probe[1]) for probe in state_dict["calibration"]]
        self.agreement.load_state_dict(state_dict["agreement"])
        self._history.load_state_dict(state_dict["history"])
        self._updates.set(state_dict["updated"])
        self._updates.waits = self.agreement.lag == 0
        self._fed = state_dict["fed"]
        if told := differences(fresh, self.state, peaks, self.peak_lrs):
            warnings.warn(
                f"the saved state goes on as it was saved, with {told}; extend(total_steps) moves "
                "the end of a run",
                stacklevel=2,
            )
        self._write(self.state.factor)

    # -- inside --------------------------------------------------------------------------------

    def _initial_step(self) -> None:
        """Called by LRScheduler.__init__: set the rates of the first update."""
        self._write(self.state.factor)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy, with its own optimizers, known to later schedulers of these."""
        self.__dict__.update(state)
        self._rates.remember()

    def _rule_of(self, name: str) -> Rule[Any]:
        """Return the rule of a saved state: one of this scheduler's, or one known by its name."""
        own = [state.rule for state in self.states.values() if state.rule.name == name]
        return own[0] if own else rule_of(name)

    # -- rules of parameter groups -------------------------------------------------------------

    def _begun(self, word: str, at: int) -> WarmupState:
        """Return the warm-up of the groups with this word, which begins at an update."""
        rule, run, total = self._rules.rules[word], self._run, self._run.total_steps
        groups = [
            group
            for optimizer, words in zip(self.optimizers, self._words, strict=True)
            for group, each in zip(optimizer.param_groups, words, strict=True)
            if each == word
        ]
        run = replace(
            run,
            total_steps=None if total is None else max(1, total - at),
            kappa=kappa_of(self.optimizers) if rule.needs_kappa else None,
            **(model_facts(self.optimizers, groups) if rule.reads_model else {}),
        )
        return begin(rule, run)

    def _take_in_groups(self) -> None:
        """Give groups that joined their words; a new word begins a warm-up of its own."""
        now = [len(peaks) for peaks in self.peak_lrs]
        if now == [len(words) for words in self._words]:
            return
        self._words = self._rules.words_of(self.optimizers)
        for word in self._rules.rules:
            if word != self._word and word not in self._others:
                self._others[word] = self._begun(word, self.state.step)

    def _state_of_groups(self) -> dict[str, Any]:
        _, *others = self.states.items()  # the first is saved as the scheduler's own
        return {"words": self._words, "others": {word: each.to_dict() for word, each in others}}

    def _load_groups(self, state_dict: dict[str, Any]) -> None:
        self._take_in_groups()
        words = state_dict.get("words", [[ALL] * len(peaks) for peaks in state_dict["peak_lrs"]])
        if words != self._words:
            raise ValueError(
                "the saved state must fit the rules of the parameter groups: expected the words "
                f"{self._words}, got {words}"
            )
        self._others = {
            word: WarmupState.from_dict(each, self._rule_of)
            for word, each in state_dict.get("others", {}).items()
        }

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
        self._write(state.factor)

    def _write(self, factor: float) -> None:
        if self._rules.several:
            self._rates.write_each(self.factors)
        else:
            self._rates.write(factor)
        self.last_epoch = self.state.step
        self._step_count = self.last_epoch + 1  # wrappers of schedulers count on it
