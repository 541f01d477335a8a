"""Stopping in good order: a signal, or the end of a job's time, leaves a state to go on from and is then obeyed."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self, TypeVar

from feature_lazy.core.errors import FeatureLazyError

log = logging.getLogger(__name__)
T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGALRM)
"""Kill and scancel, Ctrl-C, submitit before a preemption or a time-out, and the deadline."""
DEADLINE = "FEATURE_LAZY_DEADLINE"
"""Environment variable by which a launcher tells when the job ends, in Unix seconds."""


class StoppedError(FeatureLazyError):
    """Training was stopped from outside; its state is kept."""


class _Now(BaseException):
    """Leaves a step at once: the state before it is whole."""


class Stop:
    """Turns signals and the deadline into the end of a loop while a ``with`` statement's body runs, then obeys them.

    What had handled the signal before handles it at the end: Python ends, or submitit asks SLURM for another turn. Only
    the main thread of a program gets signals; in another one only the deadline is obeyed, between two steps.

    Attributes:
        reason: what asked to stop, None while nothing has.
    """

    def __init__(self, margin: float = 60.0) -> None:
        """Prepare.

        Args:
            margin: seconds before the deadline at which to stop, for what must be written.
        """
        self.reason: str | None = None
        self._signal: int | None = None
        self._inside = False
        self._before: dict[int, signal._HANDLER] = {}
        end = deadline()
        self._end = None if end is None else time.monotonic() + max(0.0, end - time.time() - margin)

    def __enter__(self) -> Self:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
            if self._end is not None:
                # At least a moment: 0 would mean never.
                signal.setitimer(signal.ITIMER_REAL, max(1e-3, self._end - time.monotonic()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore who listened before, and let them have the signal.

        Raises:
            StoppedError: a signal that they ignored, or the deadline.
        """
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.reason is None or error is not None:
            return
        log.info("%s: training stops here, and its state is kept. Repeat the command to continue.", self.reason)
        if self._signal is not None and self._signal != signal.SIGALRM:
            _flush()
            signal.raise_signal(self._signal)
        raise StoppedError(f"{self.reason}: training stopped, and its state is kept. Repeat the command to continue.")

    def over(self, items: Iterator[T]) -> Iterator[T]:
        """The same items until something asks to stop, even while the next one is being made."""
        while not self.asked():
            try:
                with self._interruptible():
                    item = next(items)
            except (_Now, StopIteration):
                return
            yield item

    def asked(self) -> bool:
        """Whether something has asked to stop."""
        if self.reason is None and self._end is not None and time.monotonic() >= self._end:
            self.reason = "The time of this job is over"
        return self.reason is not None

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        self._inside = True
        try:
            if self.asked():  # between the last look and now
                raise _Now
            yield
        finally:
            self._inside = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._signal == signal.SIGINT:
            raise KeyboardInterrupt  # a person who insists
        self._signal = number
        name = signal.Signals(number).name
        self.reason = "The time of this job is over" if number == signal.SIGALRM else f"Stopped by {name}"
        if self._inside:
            self._inside = False
            raise _Now


def deadline() -> float | None:
    """When this job ends, in Unix seconds: as its launcher or SLURM says; None if nobody does."""
    for name in (DEADLINE, "SLURM_JOB_END_TIME"):
        try:
            return float(os.environ[name])
        except (KeyError, ValueError):
            continue
    return None


def _flush() -> None:
    """Log files lose nothing if the signal ends the process here."""
    for handler in logging.getLogger().handlers:
        handler.flush()
