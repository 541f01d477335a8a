"""A Hydra callback for the end of a sweep or a run: what it shows where that is asked for, and always how it stands."""

import time
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.runs.plan import requested

SHOWN = 5
"""Results folders of one sweep whose states are shown."""


class SweepEnd(Callback):
    """All runs of ``output_dir``, also those of earlier sweeps: table and figures, then states and what comes next.

    Of one job its own runs, and what comes next.
    """

    def __init__(self, figures: bool = False) -> None:
        """Look at the clock.

        Args:
            figures: whether the table is shown, and the figures are drawn.
        """
        self.figures, self.started = figures, time.monotonic()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See ``Callback.on_multirun_end``; a failure here loses no run and is shown as one sentence."""
        from feature_lazy.study.end import show_end

        if config.hydra.launcher.get("dry_run"):
            return
        folders, seconds = list(dict.fromkeys(requested)) or [Path(config.output_dir)], time.monotonic() - self.started
        for folder in folders[:SHOWN]:
            try:
                if self.figures:
                    _summarise(folder)
                show_end(folder, seconds)
            except StoreError as error:
                say(error, error=True)
        if len(folders) > SHOWN:
            say(f"and {counted(len(folders) - SHOWN, 'results folder')} more, up to {folders[-1]}")

    def on_run_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """See ``Callback.on_run_end``; what failed has been said."""
        from feature_lazy.study.end import show_job_end

        if job_return.status is JobStatus.COMPLETED:
            try:
                show_job_end(Path(config.output_dir), job_return.return_value)
            except StoreError as error:
                say(error, error=True)


def _summarise(folder: Path) -> None:
    from feature_lazy.study.summary import summarise  # matplotlib and pandas: not needed while a sweep starts

    try:
        summarise(folder)
    except StoreError as error:
        say(f"No figures yet: {error}")  # jobs that were only submitted, or all failed
