"""What every warm-up rule is: a frozen object that owns its settings, and a pure function.

A rule says which share of the peak rate the next update of warm-up uses, and when warm-up ends.
Everything else is the same for all rules and stands in `rules.stepping` and `rules.state`: what a
loss says, the decay after warm-up, phases, what is saved. docs/add-a-rule.md shows how to write
one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, cast

from autowarmup.rules.decay import DECAYS
from autowarmup.rules.families import FAMILIES
from autowarmup.rules.settings import expect, finite, spelled, store_finite, whole
from autowarmup.rules.status import Status

KINDS = ("fixed", "literature", "own")
"""fixed: a length chosen beforehand; literature: from a paper of others; own: this project's."""

Memory = TypeVar("Memory")

Record = TypeVar("Record", bound=tuple[Any, ...])


class _Make(Protocol):
    def __call__(self, kind: type[Record], values: tuple[Any, ...], /) -> Record: ...


record = cast(_Make, tuple[Any, ...].__new__)
"""`record(Kind, values)` makes a NamedTuple of all its fields in half the time of `Kind(...)`.

For those that are made at every step.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a rule is told about the run; plain JSON values after construction.

    Attributes:
        total_steps: number of updates of the whole run, >= 1; `None`: nobody knows yet.
        decay: one of `autowarmup.rules.decay.DECAYS`.
        final_fraction: share of the peak rate at the end of the decay, in [0, 1].
        lower_bound: a number below every expected loss; 0 suits non-negative losses.
        beta: slowest memory of the optimizer (b2 of Adam and Lion, else the momentum), in [0, 1).
        kappa: sum over 2-D parameters of sup ||v||_* / ||v||, for rules with `needs_kappa`.
        div: peak rate over first rate as measured on the first batch, >= 1; `None`: not measured.
        family: class of the optimizer, one of `autowarmup.rules.families.FAMILIES`.
        parameters: how many the optimizer trains, >= 1; `None`: not known.
        trained: whether the model is one that is trained already, as in fine-tuning.

    Raises:
        ValueError: an argument out of its range; the message names it.
    """

    total_steps: int | None
    decay: str = "cosine"
    final_fraction: float = 0.0
    lower_bound: float = 0.0
    beta: float = 0.9
    kappa: float | None = None
    div: float | None = None
    family: str = "other"
    parameters: int | None = None
    trained: bool = False

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen; values become plain JSON here
        if self.total_steps == math.inf:  # Lightning's word for a run without an end
            set_field(self, "total_steps", None)
        if self.total_steps is not None:
            set_field(self, "total_steps", whole("total_steps", self.total_steps))
            expect(self.total_steps >= 1, "total_steps >= 1", self.total_steps)
        store_finite(self, "final_fraction", "lower_bound", "beta")
        for name in ("kappa", "div"):
            if getattr(self, name) is not None:
                set_field(self, name, finite(name, getattr(self, name)))
        expect(self.decay in DECAYS, f"decay to be one of {', '.join(DECAYS)}", self.decay)
        expect(0 <= self.final_fraction <= 1, "0 <= final_fraction <= 1", self.final_fraction)
        expect(0 <= self.beta < 1, "0 <= beta < 1", self.beta)
        expect(self.kappa is None or self.kappa > 0, "kappa > 0", self.kappa)
        expect(self.div is None or self.div >= 1, "div >= 1", self.div)
        expect(self.family in FAMILIES, f"family to be one of {', '.join(FAMILIES)}", self.family)
        if self.parameters is not None:
            set_field(self, "parameters", whole("parameters", self.parameters))
            expect(self.parameters >= 1, "parameters >= 1", self.parameters)
        set_field(self, "trained", bool(self.trained))

    @property
    def length(self) -> int:
        """`total_steps` for rules that are never asked without it (`needs_total_steps`)."""
        assert self.total_steps is not None, "such a rule is refused where the end is not known"
        return self.total_steps


class Update(NamedTuple):
    """What one update of warm-up showed.

    Attributes:
        run: what the rule was told of the run.
        step: index of the update.
        share: of the peak rate that it used, before the decay.
        loss: mean loss of its batch at the weights before it, `None` without a finite one.
        gap: that loss minus the lower bound, at least 0; `None` likewise.
        smoothed: the smoothed gap, `None` before the first finite loss.
        event: what is to be said of the loss, `None` if nothing.
    """

    run: Run
    step: int
    share: float
    loss: float | None
    gap: float | None
    smoothed: float | None
    event: Status | None


class Move(NamedTuple, Generic[Memory]):
    """A rule's answer: the next rate, and whether warm-up is over.

    Attributes:
        memory: what the rule remembers: a NamedTuple of plain JSON values, or such a value.
        share: of the peak rate that the next update uses, in (0, 1].
        ended_by: what ended warm-up; empty while it lasts.
        status: what to say; `None` says what the loss has to say, or that warm-up goes on.
    """

    memory: Memory
    share: float
    ended_by: str = ""
    status: Status | None = None


@dataclass(frozen=True)
class Rule(ABC, Generic[Memory]):
    """A way to warm up; a subclass is a frozen dataclass whose fields are its settings.

    Attributes:
        word: what the rule is called; settings that are not the usual ones follow in brackets.
        kind: one of `KINDS`.
        reads_loss: whether it follows the loss.
        reads_model: whether it reads family, parameters and trained of the run, for which every
            parameter is looked at.
        needs_bound: whether it reads the gap, so that the lower bound must lie below the losses.
        needs_total_steps: whether it counts shares of the run, so that the end must be known.
        measured_start: least trust ratio of the first step (actual over promised decrease of the
            loss) where `calibrate` measures the first rate; `None`: there is nothing to measure.
        gap_smoothing: factor of the exponential average of the gap, in [0, 1).
        decays_throughout: the decay multiplies its shares from the first update on, and warm-up has
            no end before that of the run.
    """

    word: ClassVar[str]
    kind: ClassVar[str] = "own"
    reads_loss: ClassVar[bool] = True
    reads_model: ClassVar[bool] = False
    needs_bound: ClassVar[bool] = True
    needs_total_steps: ClassVar[bool] = True
    measured_start: ClassVar[float | None] = None
    gap_smoothing = 0.9  # some have it as a setting
    decays_throughout: ClassVar[bool] = False

    @abstractmethod
    def start(self, run: Run) -> Move[Memory]:
        """Return the share of the first update; with `ended_by` there is no warm-up."""

    @abstractmethod
    def advance(self, memory: Memory, update: Update) -> Move[Memory]:
        """Return the share of the next update of warm-up."""

    def watches(self, memory: Memory, step: int) -> bool:
        """Return whether it still reads the loss of this update after warm-up.

        While it does, `advance` goes on to be asked after warm-up: its share is what the decay
        multiplies.
        """
        return False

    def restore(self, values: Any) -> Memory:
        """Return the memory from its JSON values: the fields of a NamedTuple as a dict."""
        return values

    def told(self, run: Run) -> Run:
        """Return what the rule makes of what it is told: settings of its own come first."""
        return run

    def unused(self) -> tuple[str, ...]:
        """Return the names of settings that were given and are not read beside the others."""
        return ()

    @property
    def about(self) -> str:
        """One line for tables."""
        return (type(self).__doc__ or "").partition("\n")[0]

    @property
    def needs_kappa(self) -> bool:
        """Whether it weighs by the kappa of the optimizer's norm and shapes."""
        return False

    @property
    def name(self) -> str:
        """The spelling that `rule_of` reads: the word, and the settings that are not the usual."""
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.default is MISSING or getattr(self, f.name) != f.default
        }
        return self.word + spelled(changed)

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return asdict(self)
