"""The live display on the terminal: a bar for all runs, and what came of each."""

from __future__ import annotations

import time

from autowarmup.lab.bench.names import setup_name
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.workers import Job
from autowarmup.lab.report.words import rule_name


class Progress:
    """A context that shows a plan while it runs; does nothing when not enabled."""

    def __init__(self, total: int, done: int, *, enabled: bool = True) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Bars(*columns, TimeElapsedColumn(), disable=not enabled)
        self._all = self._bars.add_task("all runs", total=total, completed=done)
        self._began: dict[str, float] = {}
        self.done, self.total, self.enabled = done, total, enabled

    def __enter__(self) -> Progress:
        self._bars.start()
        if self.done:
            self._print(f"{self.done} of {self.total} runs were there already")
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, job: Job) -> None:
        """Note when a job began."""
        self._began[job.id] = time.monotonic()

    def ended(self, job: Job, outcome: list[Record] | str) -> None:
        """Count the runs of a job and print what came of it."""
        self.done += 0 if isinstance(outcome, str) else len(outcome)
        self._bars.update(self._all, completed=self.done)
        seconds = time.monotonic() - self._began[job.id]
        self._print(
            f"{self.done:3d}/{self.total} {describe(job.plans)}: {_result(outcome)} "
            f"({seconds:.0f} s)"
        )

    def _print(self, text: str) -> None:
        if self.enabled:
            self._bars.console.print(text, highlight=False, markup=False)


def describe(plans: tuple[RunPlan, ...]) -> str:
    """Return the runs of a job in a few words.

    Example:
        >>> from autowarmup.lab.bench.setups import Setup
        >>> describe((RunPlan(Setup("muon", 0.007), 0, "linear 5%"),))
        'Muon, lr 0.007, linear 5 %, seed 0'
    """
    first = plans[0]
    if len(plans) > 1:
        return f"{first.setup.family.id.replace('-lr0-', ' ')}, {len(plans)} runs"
    return f"{setup_name(first.setup.to_dict())}, {rule_name(first.rule)}, seed {first.seed}"


def _result(outcome: list[Record] | str) -> str:
    if isinstance(outcome, str):
        return f"failed: {outcome}"
    diverged = sum(record["status"] == "diverged" for record in outcome)
    if len(outcome) > 1:
        return f"stored, {diverged} diverged" if diverged else "stored"
    return "diverged" if diverged else f"validation loss {outcome[0]['val_loss']:.4f}"
