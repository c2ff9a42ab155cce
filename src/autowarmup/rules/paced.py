"""The paced ramp: as long as optimizers of this class need, lowered only where the loss rises.

How long a warm-up has to be does not grow with the run (docs/bench.md). Published sweeps at 124M
and 130M parameters agree on a number of tokens per parameter that differs by the class of the
optimizer: Muon and its kind need a fraction of one, sign updates and Adam about eight. Where tokens
are not known, updates take their place. So the rule needs no length of the run but to stay within a
short one, and a model that is trained already gets a short ramp.

Where the loss rises (`rules.brake`) the rate is halved, and climbs back in two octaves of time.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from autowarmup.rules.base import Move, Rule, Run, Update, record
from autowarmup.rules.brake import BEGIN, LARGEST, Block, Looks, look, look_at, restored
from autowarmup.rules.settings import expect, finite, store_finite, whole
from autowarmup.rules.status import Status

TOKENS = {"spectral": 0.3, "preconditioned": 4.0}
"""Tokens per parameter of a full ramp by the class of the optimizer; 8.2 for all others."""
UPDATES = {"spectral": 300, "frobenius": 400, "preconditioned": 1000}
"""Updates of a full ramp where tokens are not known; 2,000 for all others."""
OTHER_TOKENS, OTHER_UPDATES = 8.2, 2000
MOST_TOKENS = 2**30
"""Above 130M parameters the best published lengths stop growing, at about a billion tokens."""
LEAST_UPDATES = 250
"""However many tokens an update has, all but spectral steps need as many updates."""
TRAINED_SHARE, TRAINED_UPDATES = 0.05, 100
"""The ramp of a model that is trained already: this share of the run, at most so many updates."""
STEEPEST = 0.6
"""A ramp that is not as long as its clock asks rises as a power of the time, no lower than this."""

SLOW = 3
"""A rate that was lowered doubles while the time that has passed becomes 1 + 3 times as long."""


class Pace(NamedTuple):
    """What the rule remembers.

    Attributes:
        length: updates of the full ramp.
        until: the update at which looking ends.
        power: of the time, as which the ramp rises.
        looks: what they have found.
        seen: losses since the last look.
        total: their sum.
        rough: the sum of their (difference to the loss before)^2 / 2.
        last: the last loss.
    """

    length: int
    until: int
    looks: Looks
    seen: int = 0
    total: float = 0.0
    rough: float = 0.0
    last: float | None = None
    power: float = 1.0


_MOVE: type[Move[Pace]] = Move


@dataclass(frozen=True)
class Paced(Rule[Pace]):
    """Ramp paced by tokens or updates, lowered where the loss rises.

    Update k of a full ramp over W updates runs at ((k + 1) / W)^p of the peak rate. W is the first
    that is known of: `length`; 5 % of the run, at most 100 updates, for a model that is trained
    already; tokens per parameter over `tokens_per_update` (0.3 for Muon and other spectral steps, 4
    for SOAP and Shampoo, 8.2 for others, at most 2^30 tokens; all but the spectral ones at least
    250 updates); 300 updates for spectral steps, 400 for normalized SGD, 1,000 for SOAP and
    Shampoo, 2,000 for others. It is at most `cap` of the run.

    p is 1, a straight line, where W is what the clock asks for. Where the run is too short for
    that, or 250 updates are more than the tokens ask for, the ramp is steep at first: p is the
    smaller of both lengths over the larger, at least 0.6.

    Args:
        tokens_per_update: of a language model, over all micro-batches and processes, > 0.
        length: updates of the ramp, >= 1, if they are to be fixed.
        cap: largest share of the run for ramp and watch, in (0, 1].
        sure: standard errors by which the loss has to rise, > 0.
        least: relative rise below which nothing is done, >= 0.
        keep: factor on the rate where it is lowered, in (0, 1).
        floor: share of the peak rate below which it is not lowered, in [0, 1].

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> Paced().name, Paced(tokens_per_update=65_536).name
        ('paced', 'paced(tokens_per_update=65536.0)')
        >>> Paced().length_in(Run(100_000, family="spectral"))
        300
        >>> muon = Run(100_000, family="spectral", parameters=124_000_000)
        >>> Paced(tokens_per_update=131_072).length_in(muon)
        284
    """

    word: ClassVar[str] = "paced"
    reads_model: ClassVar[bool] = True
    needs_bound: ClassVar[bool] = False
    needs_total_steps: ClassVar[bool] = False

    tokens_per_update: float | None = None
    length: int | None = None
    cap: float = 0.45
    sure: float = 4.0
    least: float = 0.01
    keep: float = 0.5
    floor: float = 0.02

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # values become plain JSON here
        store_finite(self, "cap", "sure", "least", "keep", "floor")
        if self.tokens_per_update is not None:
            set_field(
                self, "tokens_per_update", finite("tokens_per_update", self.tokens_per_update)
            )
            expect(self.tokens_per_update > 0, "tokens_per_update > 0", self.tokens_per_update)
        if self.length is not None:
            set_field(self, "length", whole("length", self.length))
            expect(self.length >= 1, "length >= 1", self.length)
        expect(0 < self.cap <= 1, "0 < cap <= 1 (of the run)", self.cap)
        expect(self.sure > 0, "sure > 0", self.sure)
        expect(self.least >= 0, "least >= 0", self.least)
        expect(0 < self.keep < 1, "0 < keep < 1", self.keep)
        expect(0 <= self.floor <= 1, "0 <= floor <= 1", self.floor)

    def unused(self) -> tuple[str, ...]:
        """Return the tokens where the length is fixed."""
        both = self.length is not None and self.tokens_per_update is not None
        return ("tokens_per_update",) if both else ()

    def length_in(self, run: Run) -> int:
        """Return W, the number of updates of the full ramp in a run."""
        return max(1, min(max(self._wanted(run), self._least(run)), self._most(run)))

    def power_in(self, run: Run) -> float:
        """Return p, the power of the time as which the full ramp rises in a run."""
        wanted, length = max(1, self._wanted(run)), self.length_in(run)
        return max(STEEPEST, min(wanted, length) / max(wanted, length))

    def until(self, run: Run) -> int:
        """Return the update at which looking at the loss ends."""
        length = self.length_in(run)
        return 4 * length if run.total_steps is None else max(length, self._most(run))

    def _wanted(self, run: Run) -> int:
        if self.length is not None:
            return self.length
        if run.trained:
            share = math.inf if run.total_steps is None else TRAINED_SHARE * run.total_steps
            return round(min(share, TRAINED_UPDATES))
        if self.tokens_per_update and run.parameters and run.family != "frobenius":
            tokens = TOKENS.get(run.family, OTHER_TOKENS) * run.parameters
            return round(min(tokens, MOST_TOKENS) / self.tokens_per_update)
        return UPDATES.get(run.family, OTHER_UPDATES)

    def _least(self, run: Run) -> int:
        """Return the updates that a ramp has to take."""
        fixed = self.length is not None or run.trained
        return 1 if fixed or run.family == "spectral" else LEAST_UPDATES

    def _most(self, run: Run) -> int:
        """Return the updates that ramp and watch may take."""
        return sys.maxsize if run.total_steps is None else math.floor(self.cap * run.total_steps)

    def start(self, run: Run) -> Move[Pace]:
        """Return the share of the first update."""
        length = self.length_in(run)
        slope, power = 1.0 / length, self.power_in(run)
        looks = Looks(slope, number=-1, due=BEGIN) if run.trained else Looks(slope)
        memory = Pace(length, self.until(run), looks, power=power)
        return Move(memory, slope**power, "" if length > 1 else "not needed")

    def advance(self, memory: Pace, update: Update) -> Move[Pace]:
        """Rise, and look at the loss when it is time."""
        _, step, share, loss, _, _, event = update
        length, until, looks, seen, total, rough, last, power = memory
        after, status = step + 1, None
        if loss is not None:
            if not -LARGEST < loss < LARGEST:
                loss = math.copysign(LARGEST, loss)
            if last is not None:
                rough += 0.5 * (loss - last) * (loss - last)
            seen, total, last = seen + 1, total + loss, loss
        if after == looks.due:
            lowered = looks.lowered
            if seen:
                block = Block(seen, total / seen, rough / seen)
                looks = look(looks, block, sure=self.sure, least=self.least)
            if looks.lowered > lowered:
                share, status = max(share * self.keep, min(share, self.floor)), Status.LOWERED
                looks = looks._replace(slope=share / (SLOW * after))
            looks = looks._replace(number=looks.number + 1, due=look_at(looks.number + 1))
            seen, total, rough = 0, 0.0, 0.0
        if status is None and share < 1.0:
            lowered = looks.lowered
            if lowered:
                share += looks.slope
            elif power == 1.0:
                share = (after + 1) / length
            else:
                share = ((after + 1) / length) ** power
            if share > 1.0:  # min takes as long as all of this
                share = 1.0
            if lowered and after != length - 1:  # where warm-up ends, that is said
                status = event or Status.CLIMBING
        memory = record(Pace, (length, until, looks, seen, total, rough, last, power))
        ended = "length" if after >= length - 1 else ""
        return record(_MOVE, (memory, share, ended, status))

    def watches(self, memory: Pace, step: int) -> bool:
        """Return whether the loss of this update is looked at, after warm-up too."""
        return step < memory.until

    def restore(self, values: Any) -> Pace:
        """Return the memory from its JSON values."""
        memory = Pace(**values)
        return memory._replace(looks=restored(memory.looks))
