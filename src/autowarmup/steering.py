"""What may be done to a run beside telling it losses: another start, end or ramp; saving it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from autowarmup.agreement import Agreement
from autowarmup.calibrate import measure_start
from autowarmup.group_rules import ALL
from autowarmup.rules.base import Rule
from autowarmup.rules.life import with_decay, with_end, with_ramp
from autowarmup.rules.registry import rule_of
from autowarmup.rules.settings import expect, whole
from autowarmup.rules.state import WarmupState
from autowarmup.rules.stepping import begin
from autowarmup.saved import FORMAT, differences, of_today
from autowarmup.standing import Standing
from autowarmup.updates import Updates


class Steering(Standing):
    """The part of `AdaptiveWarmup` that changes a run without a loss.

    Several processes have to agree: call these in all of them, after the same update.
    """

    optimizers: list[Optimizer]
    agreement: Agreement
    calibration: list[tuple[float, float]]
    _updates: Updates
    _fed: bool

    def _write(self) -> None:
        raise NotImplementedError

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
            self._write()
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
        self._write()
        return self.div

    def start_decay(self, steps: int) -> str:
        """Decay over the next `steps` updates, from the rate that was reached, and say so.

        Ends warm-up, and a run without a known end. In a decay it begins anew, without a jump.

        Raises:
            ValueError: `steps` is below 1.

        Example:
            >>> import torch
            >>> from autowarmup import AdaptiveWarmup
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
        # A run that was over has next to nothing to decay from.
        return self._said(f"from {100 * self.factor:.3g} % of the peak rate ")

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
        self._write()

    def _said(self, start: str = "") -> str:
        first, total = self.state.step, self.state.run.length
        return (
            f"the rate decays {start}over updates {first:,} to {total - 1:,} "
            f"and the run ends after {total:,}"
        )

    # -- saving ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state as plain numbers, strings and lists.

        It is the same in every process when taken after `step`: losses of micro-batches that wait
        for their update are the process's own.
        """
        saved: dict[str, Any] = {
            "format": FORMAT,
            "warmup": self.state.to_dict(),
            "peak_lrs": [list(peaks) for peaks in self.peak_lrs],
            "calibration": [list(probe) for probe in self.calibration],
            "agreement": self.agreement.state_dict(),
            "history": self._history.state_dict(),
            "updated": self._updates.happened,
            "fed": self._fed,
        }
        if self._groups.several:
            _, *others = self.states.items()  # the first is saved as the scheduler's own
            saved["words"] = self._groups.words
            saved["others"] = {word: each.to_dict() for word, each in others}
        return saved

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
        words = state_dict.get("words", [[ALL] * groups for groups in got])
        if words != self._groups.words:
            raise ValueError(
                "the saved state must fit the rules of the parameter groups: expected the words "
                f"{self._groups.words}, got {words}"
            )
        self._others = {
            word: WarmupState.from_dict(each, self._rule_of)
            for word, each in state_dict.get("others", {}).items()
        }
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
        self._write()

    def _rule_of(self, name: str) -> Rule[Any]:
        """Return the rule of a saved state: one of this scheduler's, or one known by its name."""
        own = [state.rule for state in self.states.values() if state.rule.name == name]
        return own[0] if own else rule_of(name)
