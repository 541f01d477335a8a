"""A bar with the time to go, for functions that tell how much of their work is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from feature_lazy.core.terminal import console


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, as a function of ``(done, total)``; without a terminal, only its last state.

    >>> with progress_bar("kernel") as progress:
    ...     kernel_on_disk(network, weights, x, path="kernel", progress=progress)
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
