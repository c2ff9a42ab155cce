"""What can be asked of a scheduler: where it stands, what it did, how that looks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from autowarmup.group_rules import GroupRules
from autowarmup.history import History, Point, Trace
from autowarmup.pages import run_page
from autowarmup.rates import Rates
from autowarmup.rules.base import Rule, Run
from autowarmup.rules.state import WarmupState
from autowarmup.rules.status import Status
from autowarmup.showing import as_html, draw, facts, report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Standing(LRScheduler):
    """The part of `AdaptiveWarmup` that changes nothing."""

    state: WarmupState
    _others: dict[str, WarmupState]
    _word: str
    _groups: GroupRules
    _run: Run
    _rates: Rates
    _history: History
    _made: tuple[WarmupState, dict[str, WarmupState], float | None] | None

    @property
    def rule(self) -> Rule[Any]:
        """The rule, with its settings."""
        return self.state.rule

    @property
    def phase(self) -> str:
        """ "warmup", "stable" (the end is not known), "decay" or "done"."""
        return self.state.phase

    @property
    def status(self) -> Status:
        """What happened at the last step; its value is a sentence."""
        return self.state.status

    @property
    def factor(self) -> float:
        """Share of the peak rates that the next update uses, in (0, 1]."""
        return self.state.factor

    @property
    def factors(self) -> list[list[float]]:
        """Share of the peak rate that each parameter group's next update uses, per optimizer."""
        states = self.states
        return [[states[word].factor for word in words] for words in self._groups.words]

    @property
    def states(self) -> dict[str, WarmupState]:
        """Where the warm-up of each word of groups stands; one, of "", if all follow one rule."""
        if self._groups.joined([len(peaks) for peaks in self.peak_lrs]):
            for word in self._groups.rules:
                if word not in (self._word, *self._others):
                    begun = self._groups.begun(word, self._run, self.state.step)
                    self._others[word] = begun
        return {self._word: self.state, **self._others}

    @property
    def gap(self) -> float | None:
        """Smoothed loss minus the lower bound, `None` before the first finite loss."""
        return self.state.gap

    @property
    def div(self) -> float:
        """Peak rate over first rate: as `calibrate` measured it, or as the rule has it."""
        run = self.state.run
        return 1.0 / self.state.rule.start(run).share if run.div is None else run.div

    @property
    def warmup_end_step(self) -> int | None:
        """Index of the first update after warm-up, `None` while it lasts."""
        return self.state.end

    @property
    def warmup_ended_by(self) -> str:
        """What ended warm-up ("length", "gap", "cap", ...), empty while it lasts."""
        return self.state.ended_by

    @property
    def peak_lrs(self) -> list[list[float]]:
        """Peak rates of all parameter groups, per optimizer."""
        return self._rates.peaks

    @property
    def last(self) -> Point | None:
        """The update that was made last: its rate, factor and phase, and the loss and the smoothed
        gap that followed; `None` before the first. With a lag the loss is an earlier one."""
        if self._made is None:
            return None
        before, _, loss = self._made
        return Point(
            step=before.step,
            loss=math.nan if loss is None else loss,
            gap=None if loss is None else self.state.tracker.gap,
            lr=self._rates.first * before.factor,
            factor=before.factor,
            phase=before.phase,
            status=self.state.status.name,
        )

    @property
    def used(self) -> dict[str, WarmupState]:
        """The states that the last update was made in, by word as in `states`."""
        if self._made is None:
            return self.states
        return {self._word: self._made[0], **self._made[1]}

    @property
    def used_lrs(self) -> list[float]:
        """Rates of all parameter groups that the last update used; of the first, before it."""
        return self._rates_in({**self.states, **self.used})  # some may have joined since

    def _rates_in(self, states: dict[str, WarmupState]) -> list[float]:
        """Return the rates of all parameter groups in these states, by word."""
        return [
            peak * states[word].factor
            for peaks, words in zip(self.peak_lrs, self._groups.words, strict=True)
            for peak, word in zip(peaks, words, strict=True)
        ]

    @property
    def trace(self) -> Trace:
        """Steps so far (rate, loss, gap), thinned evenly once there are more than 2,048.

        The loss is the one that the schedule went by at that step: with a lag that of an earlier
        update, and NaN where none was read. After warm-up a loss on an accelerator is left there,
        and processes no longer tell each other theirs.
        """
        return self._history.trace

    def __repr__(self) -> str:
        state = self.state
        gap = "no loss yet" if state.gap is None else f"gap {state.gap:.4g}"
        return (
            f"AdaptiveWarmup({state.rule.name}, {state.phase}, step {state.step}/"
            f"{state.run.total_steps or '?'}, factor {state.factor:.4g}, {gap})"
        )

    def get_lr(self) -> list[float | Tensor]:
        """Return the rates of the next update, one per parameter group; changes nothing."""
        return [*self._rates_in(self.states)]

    def get_last_lr(self) -> list[float | Tensor]:
        """Return the rates in force, one per parameter group of every optimizer, as floats."""
        return self.get_lr()

    @property
    def _last_lr(self) -> list[float | Tensor]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As torch's schedulers have it."""
        return self.get_lr()

    # -- how it looks --------------------------------------------------------------------------

    def report(self, out: str | Path | None = None) -> str:
        """Return a few sentences on the run so far: what ended warm-up, what lowered the rate.

        Args:
            out: a directory: also write the page OUT/report.html, the trace and the figure; needs
                `autowarmup[report]`. In several processes: in one of them.

        Raises:
            ModuleNotFoundError: a package for pages is missing.
            ValueError: OUT is a file, or another process writes to it.

        Example:
            >>> import torch
            >>> from autowarmup import AdaptiveWarmup
            >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
            >>> scheduler = AdaptiveWarmup(optimizer, total_steps=10, rule="linear 30%")
            >>> for _ in range(10):
            ...     optimizer.step()
            ...     scheduler.step(3.0)
            >>> scheduler.report()  # doctest: +NORMALIZE_WHITESPACE
            "10 of 10 updates with the rule 'linear 30%', peak rate 0.5. Warm-up ended after 2
            updates (by length)."
        """
        said = report(self.state, self._rates.first)
        if out is None:
            return said
        return (
            f"{said} {run_page(out, self.trace, said, facts(self.state, self.peak_lrs), self.plot)}"
        )

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the rate and the loss; needs matplotlib (`autowarmup[report]`).

        The rate is that of the first group whose peak is above 0. What is still to come is dotted:
        it is what follows if no loss lowers the rate.

        Args:
            axes: of matplotlib, to draw into; new ones if not given.

        Returns:
            The axes; `.figure.savefig("schedule.png")` writes them.

        Raises:
            ModuleNotFoundError: matplotlib is missing.
            ValueError: what is given is no axes.
        """
        return draw(self.trace, self.state, self._rates.first, axes)

    def _repr_html_(self) -> str:
        return as_html(self.trace, self.state, self._rates.first)
