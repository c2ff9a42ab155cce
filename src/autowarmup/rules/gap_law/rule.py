"""The rule that follows the law of the gap (arXiv 2602.05813, practical scheduler, rho = 2).

The rate starts at lr / div and follows the law while the smoothed gap falls to the gap at which the
law peaks. Whatever the loss does, warm-up ends: once `max_fraction` of the run is over, the rate is
raised linearly from where it stands to the peak within 3 % of the run. A ramp that has begun is
finished whatever the gap does, so that the rate never jumps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update
from autowarmup.rules.gap_law.law import peak_factor
from autowarmup.rules.gap_law.peak import choose, parse_end, require_scipy
from autowarmup.rules.settings import expect, finite, spelled, store_finite
from autowarmup.rules.status import Status

RAMP = 0.03
"""Share of the run over which a warm-up that was cut short is completed."""


class LawMemory(NamedTuple):
    """What the rule remembers.

    Attributes:
        gap0: first gap, in units of the loss.
        gap_peak: smoothed gap at which warm-up ends.
        cap_step: index of the first update of the ramp that follows the cap.
        cap_share: share of the update before it, from which the ramp rises.
    """

    gap0: float | None = None
    gap_peak: float | None = None
    cap_step: int | None = None
    cap_share: float | None = None


@dataclass(frozen=True)
class GapLaw(Rule[LawMemory]):
    """Law of the gap (arXiv 2602.05813).

    Args:
        end: where warm-up ends: "flat", "accurate" or "published" (see `rules.gap_law.peak`), or
            the share of the first gap at which the law peaks, a number in (0, 1).
        div: peak rate over first rate where `calibrate` does not measure it, >= 1; 1 means no
            warm-up.
        max_fraction: share of the run after which warm-up is cut short, in (0, 1].
        smoothing: factor of the exponential average of the gap, in [0, 1).
        kappa: what "accurate" and "published" weigh by, > 0; `None` derives it from the optimizer.
        f_star: what the gap is measured from, in units of the loss, instead of the run's lower
            bound. The paper takes a loss near that of the end of training, which has to be known
            beforehand: 3.2 for Muon and 3.5 for Lion at 124M parameters.

    Raises:
        ValueError: an argument out of its range.
        ModuleNotFoundError: end="published" without scipy.

    Example:
        >>> GapLaw().name, GapLaw(end=0.33, div=10.0).name
        ('flat', 'gap law(end=0.33, div=10.0)')
    """

    word: ClassVar[str] = "gap law"
    measured_start: ClassVar[float | None] = 0.7

    end: str | float = "flat"
    div: float = 100.0
    max_fraction: float = 0.25
    smoothing: float = 0.9
    kappa: float | None = None
    f_star: float | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # values become plain JSON here
        set_field(self, "end", parse_end(self.end))
        store_finite(self, "div", "max_fraction", "smoothing")
        expect(self.div >= 1, "div >= 1 (the peak rate over the first rate)", self.div)
        expect(0 < self.max_fraction <= 1, "0 < max_fraction <= 1", self.max_fraction)
        expect(0 <= self.smoothing < 1, "0 <= smoothing < 1", self.smoothing)
        if self.kappa is not None:
            set_field(self, "kappa", finite("kappa", self.kappa))
            expect(self.kappa > 0, "kappa > 0", self.kappa)
        if self.f_star is not None:
            set_field(self, "f_star", finite("f_star", self.f_star))
        if self.end == "published":
            require_scipy()

    @property
    def name(self) -> str:
        """The end by itself where it has a name; settings that are not the usual follow."""
        if isinstance(self.end, float):
            return super().name
        usual = GapLaw()
        changed = {
            key: value
            for key, value in self.settings().items()
            if key != "end" and value != getattr(usual, key)
        }
        return str(self.end) + spelled(changed)

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The ends of the paper are of the literature, the others of this project."""
        return "literature" if self.end in ("accurate", "published") else "own"

    @property
    def about(self) -> str:
        """One line for tables."""
        return f"law of the gap, measured start, end of warm-up: {self.end}"

    @property
    def gap_smoothing(self) -> float:
        """The setting."""
        return self.smoothing

    @property
    def needs_kappa(self) -> bool:
        """Whether the end weighs by kappa and none is given."""
        return self.end in ("accurate", "published") and self.kappa is None

    def unused(self) -> tuple[str, ...]:
        """Return kappa where the end does not weigh by it."""
        weighs = self.end in ("accurate", "published")
        return () if weighs or self.kappa is None else ("kappa",)

    def told(self, run: Run) -> Run:
        """Return the run with the rule's own f_star as its lower bound."""
        return run if self.f_star is None else replace(run, lower_bound=self.f_star)

    def cap(self, run: Run) -> int:
        """Return the number of updates after which warm-up is cut short, at least 1."""
        return max(1, math.floor(self.max_fraction * run.length))

    def ramp(self, run: Run) -> int:
        """Return the number of updates that complete a warm-up which was cut short, at least 1."""
        return max(1, min(round(RAMP * run.length), run.length - self.cap(run)))

    def first_div(self, run: Run) -> float:
        """Return the peak rate over the first rate: as measured, or as set."""
        return self.div if run.div is None else run.div

    def start(self, run: Run) -> Move[LawMemory]:
        """Return 1 / div.

        Raises:
            ValueError: no kappa for an end that weighs by it.
        """
        reason = f"kappa > 0 for the rule {self.end!r}, from GapLaw(kappa=...) or the optimizer"
        expect(not self.needs_kappa or run.kappa is not None, reason, run.kappa)
        div = self.first_div(run)
        if div == 1.0:
            return Move(LawMemory(), 1.0, "not needed", Status.NOT_NEEDED)
        return Move(LawMemory(), 1.0 / div)

    def advance(self, memory: LawMemory, update: Update) -> Move[LawMemory]:
        """Follow the law, or the ramp after the cap."""
        if memory.cap_step is not None:
            return self._on_ramp(memory, update, update.event or Status.CAP_REACHED)
        run, gap, share = update.run, update.smoothed, update.share
        if gap is not None:
            if memory.gap0 is None or memory.gap_peak is None:
                memory = LawMemory(gap, gap * self._share_of_gap(run, gap))
            gap0, gap_peak = memory.gap0, memory.gap_peak
            assert gap0 is not None, "set with the first gap"
            assert gap_peak is not None
            if gap <= gap_peak:
                return Move(memory, 1.0, "gap", Status.PEAK_REACHED)
            share = peak_factor(gap, gap0, gap_peak, self.first_div(run))
        if update.step + 1 >= self.cap(run):
            # The ramp rises from the rate last used, not from what the newest loss would ask for.
            memory = memory._replace(cap_step=update.step + 1, cap_share=update.share)
            return self._on_ramp(memory, update, Status.CAP_REACHED)
        return Move(memory, share)

    def restore(self, values: Any) -> LawMemory:
        """Return the memory from its JSON values."""
        return LawMemory(**values)

    def _share_of_gap(self, run: Run, gap0: float) -> float:
        kappa = run.kappa if self.kappa is None else self.kappa
        return choose(self.end, div=self.first_div(run), gap0=gap0, kappa=kappa)

    def _on_ramp(self, memory: LawMemory, update: Update, status: Status) -> Move[LawMemory]:
        begun, low = memory.cap_step, memory.cap_share
        assert begun is not None, "a ramp begins at the cap"
        assert low is not None
        done, length = update.step + 2 - begun, self.ramp(update.run)
        if done >= length:
            return Move(memory, 1.0, "cap", Status.CAP_COMPLETED)
        return Move(memory, min(1.0, low + (1.0 - low) * (done / length)), status=status)
