"""Processes with one job each at a time, so that a process that dies takes its own job with it and no other."""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from feature_lazy.core.errors import FeatureLazyError

PATIENCE = 120.0
"""Seconds that processes have to keep their state when they are asked to stop."""


class WorkerDiedError(RuntimeError):
    """The process of a job died.

    Attributes:
        stopped: whether a signal asked it to stop, so that its state is kept; else it failed.
    """

    def __init__(self, exitcode: int | None) -> None:
        """Say what killed it, as far as the exit code tells."""
        name = signal.Signals(-exitcode).name if exitcode and exitcode < 0 else f"exit code {exitcode}"
        self.stopped = exitcode in {-signal.SIGTERM, -signal.SIGINT, -signal.SIGUSR2}
        hint = "; the kernel kills processes when memory runs out" if exitcode == -signal.SIGKILL else ""
        super().__init__(f"the worker process died of {name}{hint}")


class WorkersError(FeatureLazyError):
    """The system gives no more processes, or files."""


class Workers:
    """Fresh processes, used by as many threads as there are processes.

    A process whose parent is gone stops as if it had been asked to. In the main thread SIGTERM becomes
    KeyboardInterrupt, so that one place looks after both.
    """

    def __init__(self, number: int) -> None:
        """Choose how many; they start with their first jobs."""
        self.idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        with starting():
            self.everyone = [_start() for _ in range(number)]
        for worker in self.everyone:
            self.idle.put(worker)
        self._before: Any = None

    def __len__(self) -> int:
        """Number of processes."""
        return len(self.everyone)

    def __enter__(self) -> Self:
        """Listen to SIGTERM, in the main thread, unless somebody does already."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the processes end; after an interruption ask them to, and wait until they have kept their state."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
        if isinstance(error, KeyboardInterrupt):
            self.stop()
        for worker in self.everyone:
            worker.shutdown(wait=False, cancel_futures=True)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in an idle process, and return what it returns.

        Raises:
            WorkerDiedError: the process died.
            WorkersError: it could not be started.
        """
        worker = self.idle.get()
        processes: list[Any] = []
        try:
            with starting():
                future = worker.submit(function, *arguments)
            processes = list((worker._processes or {}).values())
            return future.result()
        except BrokenProcessPool as error:
            self.everyone.remove(worker)
            worker = _start()
            self.everyone.append(worker)
            raise WorkerDiedError(exit_code(processes[0]) if processes else None) from error
        finally:
            self.idle.put(worker)

    def stop(self) -> None:
        """Ask all processes to stop, and wait for them."""
        processes = [process for worker in self.everyone for process in (worker._processes or {}).values()]
        for process in processes:
            process.terminate()
        end = time.monotonic() + PATIENCE
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))


@contextmanager
def starting() -> Iterator[None]:
    """Say what to do about processes that cannot be started.

    Raises:
        WorkersError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise WorkersError(
            f"No process can be started ({error.strerror}): start fewer, hydra.launcher.n_jobs=N or --n-jobs N, or "
            "raise the limits of this session (ulimit -n, ulimit -u)."
        ) from error


def exit_code(process: Any, patience: float = 5.0) -> int | None:
    """Exit code of a process that has died.

    The pool's own thread waits for the process too. Where it was first, the process is gone for us, and its code not
    known until that thread has written it down.

    Args:
        process: of ``multiprocessing``.
        patience: seconds that the thread may take for it.
    """
    process.join(PATIENCE)
    end = time.monotonic() + patience
    while process.exitcode is None and time.monotonic() < end:
        time.sleep(0.01)
    return process.exitcode


def _start() -> ProcessPoolExecutor:
    # Started afresh and not forked: a forked process inherits PyTorch's thread pools in an unusable state.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=stay_with, initargs=(os.getpid(),))


def stay_with(parent: int) -> None:
    """Watch the parent from a thread: a worker that waits for a dead one would wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
