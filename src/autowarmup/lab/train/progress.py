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
    from rich.table import Column

    console = Console(stderr=True)
    wide = console.width >= 100  # 80 columns have room for the numbers and a short bar
    counted = 1 + 2 * len(str(total or 0))
    title_room = Column(max_width=30 if wide else 18, no_wrap=True, overflow="ellipsis")
    bar = progress.Progress(
        progress.TextColumn("{task.description}", table_column=title_room),
        progress.BarColumn(bar_width=24 if wide else 6),
        progress.MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=counted)),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(compact=True),
        console=console,
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
