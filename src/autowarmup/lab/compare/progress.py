"""The live display of a grid on the terminal: a total bar, the runs in progress, the results."""

from __future__ import annotations

import time
from typing import Any

from autowarmup.lab.compare.workers import Job, Record
from autowarmup.lab.report.words import optimizer_name, run_warmup_name


class Display:
    """A context that shows a grid while it runs; does nothing when not enabled."""

    def __init__(self, total: int, done: int, workers: int, *, enabled: bool = True) -> None:
        self.total = total
        self.done = done
        self.workers = workers
        self.enabled = enabled
        self._running: dict[str, tuple[Any, float]] = {}

    def __enter__(self) -> Display:
        if self.enabled:
            self._progress = _progress_bar()
            self._progress.start()
            self._total = self._progress.add_task(
                "[bold]all runs", total=self.total, completed=self.done
            )
            if self.done:
                self._progress.console.print(f"{self.done} of {self.total} runs were there already")
        return self

    def __exit__(self, *_: object) -> None:
        if self.enabled:
            for task, _started in self._running.values():
                self._progress.remove_task(task)
            self._progress.stop()

    def started(self, job: Job) -> None:
        """Show a run as in progress."""
        if self.enabled:
            task = self._progress.add_task(f"  {describe(job.config)}", total=None)
            self._running[job.id] = task, time.monotonic()

    def ended(self, job: Job, record: Record) -> None:
        """Count a run and print what came of it."""
        self.done += 1
        if not self.enabled:
            return
        task, started = self._running.pop(job.id)
        self._progress.remove_task(task)
        self._progress.update(self._total, completed=self.done)
        if record["status"] == "finished":
            result = f"validation loss [bold]{record['val_loss']:.4f}[/]"
        else:
            from rich.markup import escape

            result = f"[red]{record['status']}[/]: {escape(record['message'])}"
        self._progress.console.print(
            f"{self.done:3d}/{self.total} {describe(job.config):<58} {result}"
            f"  [dim]{time.monotonic() - started:.0f} s[/]",
            highlight=False,
        )


def describe(config: dict[str, Any]) -> str:
    """Return a run in a few words.

    Example:
        >>> describe({"optimizer": "muon", "lr": 0.006, "warmup": "5%", "seed": 0, "steps": 400})
        'Muon 0.006, warm-up 5 %, seed 0'
    """
    name = optimizer_name(config["optimizer"])
    return f"{name} {config['lr']:g}, {run_warmup_name(config)}, seed {config['seed']}"


def _progress_bar() -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
