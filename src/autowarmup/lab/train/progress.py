"""What a person sees while a run lasts: one bar on standard error; and what Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Show = Callable[[int, str], None]  # (updates done, text beside the bar)


@contextmanager
def progress_bar(
    title: str, total: int | None, *, visible: bool, passing: bool = False
) -> Iterator[Show]:
    """Yield a function that moves the bar, which appears with the first move.

    A passing bar vanishes when it is done.
    """
    if not visible:
        yield lambda done, text: None
        return
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
        transient=passing,
    )
    task = bar.add_task(title, total=total, text="")

    def show(done: int, text: str) -> None:
        bar.start()
        bar.update(task, completed=done, text=text)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def interruptible(*, terminable: bool = False) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C was pressed since; a second Ctrl-C acts at once.

    `terminable` lets SIGTERM, as launchers and clusters send it, count as Ctrl-C. Outside the main
    thread signals cannot be caught, and the function always says no.
    """
    pressed = False

    def note(signum: int, frame: Any) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signum, before[signum])

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    numbers = [signal.SIGINT, *([signal.SIGTERM] if terminable else [])]
    before: dict[int, Any] = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
